/* Builds snapshots object by object, sharing with the one before all that did not change. */
#include "proxy/snapshot.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "proxy/settings.h"
#include "proxy/watched_files.h"
#include "tls/certificate.h"
#include "tls/client.h"
#include "tls/server.h"

enum { OBJECT_BLOCK = 1024, ROUTE_BLOCK = 480 };

const struct object_kind snapshot_kinds[] = {
    {"", settings_fields, "The top level of the file."},
    {"listeners", listener_fields, "A listener: an address where clients connect."},
    {"tls", tls_server_fields, "TLS of a listener: its field `tls`.", .is_part = true},
    {"certificates", certificate_fields, "A certificate with its key."},
    {"services", service_fields, "A service: a logical backend. A service may be one URL."},
    {"service-tls", tls_client_fields, "TLS with the endpoints of a service: its field `tls`.",
     .is_part = true},
    {"routes", route_fields, "A route: which requests it takes, and what happens to them."},
    {"route-choice", route_choice_fields, "The `service` of a route where it is one of several.",
     .is_part = true},
    {"consumers", consumer_fields, "A consumer: who calls."},
    {"groups", group_fields, "A group of consumers."},
};
const size_t snapshot_kinds_count = COUNT_OF(snapshot_kinds);

/* What one build passes along. */
struct build {
    struct snapshot_builder *builder;
    struct snapshot *snapshot, *previous;
    struct report *report;
    const struct settings_config *config;
    struct route_scope scope;
};

/* --- objects --- */

static struct object *new_object(struct build *build, struct text name, uint64_t hash, size_t block_size)
{
    struct object *object = object_new(name, hash, ++build->builder->serials, block_size);
    build->snapshot->objects_built += object != NULL;
    return object;
}

static struct binder binder_of(struct build *build, struct object *object, const char *map, struct text name)
{
    struct binder binder = {
        .arena = &object->arena, .report = build->report, .environment = &exchange_environment};
    binder.path =
        name.size ? arena_format(build->report->arena, "%s.%.*s", map, TEXT_ARGS(name)) : text_of(map);
    return binder;
}

static struct object *shared(struct build *build, struct object *before, uint64_t hash)
{
    if (!before || !object_is_current(before, hash))
        return NULL;
    before->refs++;
    build->snapshot->objects_shared++;
    return before;
}

/* Where texts found no room they are empty, and what could not be made may have gone without a word: nothing is made of such an object. */
static void check_memory(struct build *build, struct object *object, bool made)
{
    if (!object->arena.failed && (made || build->report->errors > 0))
        return;
    object->value = NULL;
    report_error(build->report, (struct place){0}, object->name, "out of memory");
}

typedef void *object_build(struct build *build, struct binder *binder, struct text name,
                           const struct node *node);

/* NULL: no memory. An object that failed has no value, so that references to it are not called unknown. */
static struct object *make_object(struct build *build, const char *map, const struct node *key,
                                  const struct node *node, uint64_t hash, size_t block_size,
                                  object_build *make)
{
    struct object *object = new_object(build, key->text, hash, block_size);
    if (!object)
        return NULL;
    struct binder binder = binder_of(build, object, map, key->text);
    if (key->text.size == 0)
        bind_error(&binder, key, NULL, "a name cannot be empty");
    else
        object->value = make(build, &binder, object->name, node);
    object->files = binder.files;
    check_memory(build, object, object->value);
    return object;
}

/* One object of a map: the same as before, or built anew. */
static bool add_object(struct build *build, const char *map, struct table *table, const struct table *before,
                       const struct node *key, const struct node *node, uint64_t hash, object_build *make)
{
    struct object *object = shared(build, before ? table_get(before, key->text) : NULL, hash);
    if (!object)
        object = make_object(build, map, key, node, hash, OBJECT_BLOCK, make);
    if (!object)
        return false;
    if (table_put(table, object->name, object))
        return true;
    object_unref(object);
    return false;
}

static bool is_map(struct build *build, const char *map, const struct node *node)
{
    if (!node || node->kind == NODE_NULL)
        return false;
    if (node->kind == NODE_MAP)
        return true;
    report_error(build->report, node->place, text_of(map), "wants a map of names to objects");
    return false;
}

static uint64_t hash_with(uint64_t hash, uint64_t serial)
{
    return hash_mix(hash ^ hash_mix(serial + 1));
}

/* --- kinds --- */

static void *make_listener(struct build *build, struct binder *binder, struct text name,
                           const struct node *node)
{
    return listener_build(build->builder, binder, name, node);
}

static void *make_certificate(struct build *build, struct binder *binder, struct text name,
                              const struct node *node)
{
    return certificate_build(binder, build->builder->policies.states, name, node);
}

static void *make_service(struct build *build, struct binder *binder, struct text name,
                          const struct node *node)
{
    return built_service_build(build->builder, binder, name, node);
}

static void *make_route(struct build *build, struct binder *binder, struct text name, const struct node *node)
{
    return route_build(build->builder, binder, &build->scope, name, node);
}

static bool add_map(struct build *build, const char *map, const struct node *node, struct table *table,
                    const struct table *before, object_build *make)
{
    if (!is_map(build, map, node))
        return true;
    for (uint32_t i = 0; i < node->count; i++)
        if (!add_object(build, map, table, before, &node->keys[i], &node->items[i], node->items[i].hash,
                        make))
            return false;
    return true;
}

static const struct certificate *find_certificate(const void *certificates, struct text name, bool *ret_known)
{
    const struct object *object = table_get(certificates, name);
    *ret_known = object != NULL;
    return object ? object->value : NULL;
}

/* Of the certificates that a map's `certificates` names. */
static uint64_t hash_certificates(const struct build *build, const struct node *map)
{
    const struct node *list = node_get(map, TEXT("certificates"));
    uint64_t hash = 0;
    for (uint32_t i = 0; list && (list->kind == NODE_LIST ? i < list->count : i == 0); i++) {
        const struct node *name = list->kind == NODE_LIST ? &list->items[i] : list;
        const struct object *object = table_get(&build->snapshot->certificates, name->text);
        hash = hash_with(hash, object ? object->serial : 0);
    }
    return hash;
}

static uint64_t hash_listener(const struct build *build, const struct node *node)
{
    const struct node *tls = node_get(node, TEXT("tls")), *names = node_get(tls, TEXT("names"));
    uint64_t hash = tls ? hash_with(node->hash, hash_certificates(build, tls)) : node->hash;
    for (uint32_t i = 0; names && names->kind == NODE_MAP && i < names->count; i++)
        hash = hash_with(hash, hash_certificates(build, &names->items[i]));
    return hash;
}

/* Services are built anew when the certificate that they show has changed. */
static bool add_services(struct build *build)
{
    struct snapshot *snapshot = build->snapshot;
    const struct table *before = build->previous ? &build->previous->services : NULL;
    const struct node *node = build->config->services;
    uint64_t zone = hash_text(build->config->settings.zone);
    if (!is_map(build, "services", node))
        return true;
    build->builder->services.zone = build->config->settings.zone;
    for (uint32_t i = 0; i < node->count; i++) {
        const struct node *shown = node_get(node_get(&node->items[i], TEXT("tls")), TEXT("certificate"));
        const struct object *object = shown ? table_get(&snapshot->certificates, shown->text) : NULL;
        uint64_t hash = hash_with(node->items[i].hash, zone);
        hash = object ? hash_with(hash, object->serial) : hash;
        if (!add_object(build, "services", &snapshot->services, before, &node->keys[i], &node->items[i], hash,
                        make_service))
            return false;
    }
    return true;
}

static bool make_listeners(struct build *build, const struct node *node)
{
    struct snapshot *snapshot = build->snapshot;
    const struct table *before = build->previous ? &build->previous->listener_objects : NULL;
    if (!is_map(build, "listeners", node))
        return true;
    for (uint32_t i = 0; i < node->count; i++)
        if (!add_object(build, "listeners", &snapshot->listener_objects, before, &node->keys[i],
                        &node->items[i], hash_listener(build, &node->items[i]), make_listener))
            return false;
    return true;
}

static bool add_listeners(struct build *build)
{
    struct snapshot *snapshot = build->snapshot;
    const struct node *node = build->config->listeners;
    if (!make_listeners(build, node))
        return false;
    size_t count = snapshot->listener_objects.count, cursor = 0;
    if (count == 0 && node && (node->kind == NODE_MAP || node->kind == NODE_NULL))
        report_error(build->report, node->place, TEXT("listeners"), "at least one listener is needed");
    snapshot->listeners = arena_array(&snapshot->arena, count, sizeof *snapshot->listeners);
    for (const struct table_slot *slot;
         snapshot->listeners && (slot = table_next(&snapshot->listener_objects, &cursor));)
        snapshot->listeners[snapshot->listeners_count++] = ((struct object *)slot->value)->value;
    return snapshot->listeners != NULL;
}

/* Two listeners cannot have one address, but for ports that the kernel chooses. */
static void check_addresses(struct build *build)
{
    const struct snapshot *snapshot = build->snapshot;
    for (size_t i = 0; i < snapshot->listeners_count; i++) {
        for (size_t k = 0; k < i; k++) {
            const struct listener_config *a = snapshot->listeners[i], *b = snapshot->listeners[k];
            if (!a || !b || !text_equal(a->address, b->address) || text_ends_with(a->address, TEXT(":0")))
                continue;
            const struct node *node = node_get(build->config->listeners, a->name);
            report_error(build->report, node ? node->place : (struct place){0}, TEXT("listeners"),
                         "`%.*s` and `%.*s` have the same address %.*s", TEXT_ARGS(a->name),
                         TEXT_ARGS(b->name), TEXT_ARGS(a->address));
        }
    }
}

static uint64_t hash_of(const struct node *node)
{
    return node ? node->hash : 0;
}

static bool add_gateway_policies(struct build *build)
{
    static const char name[] = "policies";
    uint64_t hash = hash_with(hash_of(build->config->policies), (uint64_t)build->config->order);
    struct object *object = shared(build, build->previous ? build->previous->gateway_policies : NULL, hash);
    if (!object) {
        object = new_object(build, TEXT("policies"), hash, OBJECT_BLOCK);
        if (!object)
            return false;
        struct binder binder = binder_of(build, object, name, TEXT(""));
        struct policy_set *set = ARENA_NEW(&object->arena, struct policy_set);
        if (set
            && policy_set_build(&binder, &build->builder->policies, TEXT("gateway"), build->config->policies,
                                build->config->order == 1, set))
            object->value = route_fallback(build->builder, &object->arena, set);
        object->files = binder.files;
        check_memory(build, object, object->value);
    }
    build->snapshot->gateway_policies = object;
    build->snapshot->fallback = object->value;
    build->scope.gateway_policies = object->value ? build->snapshot->fallback->gateway_policies : NULL;
    build->scope.gateway_plan = object->value ? build->snapshot->fallback->target.plan : NULL;
    return true;
}

static bool add_consumers(struct build *build)
{
    uint64_t hash = hash_with(hash_of(build->config->consumers), hash_of(build->config->groups));
    struct object *object = shared(build, build->previous ? build->previous->consumer_object : NULL, hash);
    if (!object) {
        object = new_object(build, TEXT("consumers"), hash, OBJECT_BLOCK);
        if (!object)
            return false;
        struct binder binder = binder_of(build, object, "", TEXT(""));
        object->value = (void *)(uintptr_t)consumer_set_build(
            &binder, &build->builder->policies, build->config->consumers, build->config->groups);
        object->files = binder.files;
        check_memory(build, object, object->value);
    }
    build->snapshot->consumer_object = object;
    build->snapshot->consumers = object->value;
    return true;
}

/* --- routes --- */

static bool add_route(struct build *build, struct route_edit *edit, const struct node *key,
                      const struct node *node)
{
    uint64_t hash = hash_with(route_hash(&build->scope, node), build->snapshot->gateway_policies->serial);
    if (route_edit_keep(edit, key, hash))
        return true;
    struct object *object = make_object(build, "routes", key, node, hash, ROUTE_BLOCK, make_route);
    return object && route_edit_add(edit, key, hash, object);
}

static bool add_routes(struct build *build, const struct document *document)
{
    struct snapshot *snapshot = build->snapshot;
    const struct node *node = build->config->routes;
    build->scope.services = &snapshot->services;
    build->scope.listeners = &snapshot->listener_objects;
    uint32_t count = is_map(build, "routes", node) ? node->count : 0;
    struct route_edit *edit = snapshot->route_edit = route_edit_new(&build->builder->routes, document, count);
    bool fine = edit != NULL;
    for (uint32_t i = 0; fine && i < count; i++)
        fine = add_route(build, edit, &node->keys[i], &node->items[i]);
    if (!fine || !route_edit_finish(edit))
        return false;
    snapshot->objects_shared += (int64_t)edit->kept_count;
    snapshot->routes_count = route_edit_count(edit);
    return true;
}

static bool all_stay(const struct table *before, const struct table *now)
{
    size_t cursor = 0;
    for (const struct table_slot *slot; (slot = table_next(before, &cursor));)
        if (table_get(now, slot->key) != slot->value)
            return false;
    return true;
}

/* Routes of skipped files stay as they are, so what they were built from must be as it was. */
static bool skipped_files_hold(const struct build *build, const struct document *document)
{
    const struct snapshot *now = build->snapshot, *before = build->previous;
    bool any_skipped = false;
    for (size_t i = 0; i < document->parts_count && !any_skipped; i++)
        any_skipped = !document->parts[i].source;
    if (!any_skipped)
        return true;
    if (!before || now->gateway_policies != before->gateway_policies || now->route_edit->is_incomplete)
        return false;
    return all_stay(&before->services, &now->services)
           && all_stay(&before->listener_objects, &now->listener_objects);
}

static size_t put_change(struct router_change *changes, const struct object *object, bool remove)
{
    const struct route *route = object ? object->value : NULL;
    if (!route || !route->enabled)
        return 0;
    *changes = (struct router_change){remove, route->key};
    return 1;
}

/* What changed, in one edit: first all that go. */
static bool edit_router(struct build *build)
{
    struct snapshot *snapshot = build->snapshot;
    const struct route_edit *edit = snapshot->route_edit;
    struct router *base = build->previous ? router_ref(build->previous->router) : router_new();
    struct router_change *changes = memory_array(2 * edit->swaps_count + 1, sizeof *changes);
    struct error error = {.said = "out of memory"};
    if (base && changes) {
        size_t count = 0;
        for (size_t i = 0; i < edit->swaps_count; i++)
            count += put_change(&changes[count], edit->swaps[i].before, true);
        for (size_t i = 0; i < edit->swaps_count; i++)
            count += put_change(&changes[count], edit->swaps[i].after, false);
        snapshot->router = count ? router_edit(base, changes, count, &error) : router_ref(base);
    }
    memory_free(changes);
    if (base)
        router_unref(base);
    if (!snapshot->router)
        report_error(build->report, (struct place){0}, TEXT("routes"), "%s", error.said);
    return snapshot->router != NULL;
}

/* --- the whole --- */

static void copy_settings(struct snapshot *snapshot, struct object *object,
                          const struct settings_config *config)
{
    snapshot->settings = config->settings;
    snapshot->settings_object = object;
}

static bool build_all(struct build *build, const struct document *document, struct settings_config *config)
{
    struct object *settings = new_object(build, TEXT("settings"), 0, OBJECT_BLOCK);
    if (!settings)
        return false;
    build->snapshot->settings_object = settings;
    struct binder binder = binder_of(build, settings, "", TEXT(""));
    (void)settings_bind(&binder, &document->root,
                        config); /* what is wrong is in the report; the rest is looked at all the same */
    check_memory(build, settings, true);
    build->config = config;
    copy_settings(build->snapshot, settings, config);
    const struct snapshot *previous = build->previous;
    build->builder->services.certificates =
        (struct tls_certificates){find_certificate, &build->snapshot->certificates};
    return add_map(build, "certificates", config->certificates, &build->snapshot->certificates,
                   previous ? &previous->certificates : NULL, make_certificate)
           && add_listeners(build) && add_gateway_policies(build) && add_consumers(build)
           && add_services(build) && add_routes(build, document)
           && watched_files_collect(build->snapshot, document);
}

struct snapshot *snapshot_build(struct snapshot_builder *builder, const struct document *document,
                                struct snapshot *previous, struct report *report)
{
    struct snapshot *snapshot = memory_zero(sizeof *snapshot);
    if (!snapshot) {
        report_error(report, (struct place){0}, TEXT(""), "out of memory");
        return NULL;
    }
    arena_init(&snapshot->arena, 0, 0);
    struct settings_config config;
    struct build build = {.builder = builder, .snapshot = snapshot, .previous = previous, .report = report};
    int64_t began_ns = time_monotonic_ns();
    bool fine = build_all(&build, document, &config) && !snapshot->arena.failed;
    if (!fine && report->errors == 0)
        report_error(report, (struct place){0}, TEXT(""), "out of memory");
    if (fine)
        check_addresses(&build);
    snapshot->edit_began_ns = time_monotonic_ns();
    snapshot->compared_ns = snapshot->edit_began_ns - began_ns;
    fine = fine && report->errors == 0 && skipped_files_hold(&build, document) && edit_router(&build);
    if (!fine) {
        snapshot_free(snapshot);
        return NULL;
    }
    snapshot->version = ++builder->versions;
    return snapshot;
}

void snapshot_commit(struct snapshot *snapshot)
{
    route_edit_commit(snapshot->route_edit, &snapshot->generation);
    snapshot->route_edit = NULL;
    for (size_t i = 0; i < snapshot->listeners_count; i++) {
        const struct listener_config *listener = snapshot->listeners[i];
        if (listener->tls && !tls_server_commit(listener->tls))
            log_error("no randomness for keys of session tickets: the old ones stay",
                      LOG_TEXT("listener", listener->name));
    }
}

static bool may_skip(const void *context, struct text path)
{
    const struct snapshot_builder *builder = context;
    return route_book_may_skip(&builder->routes, path);
}

struct document_skip snapshot_skip(const struct snapshot_builder *builder)
{
    return (struct document_skip){may_skip, builder, 0};
}

static void free_objects(struct table *table)
{
    size_t cursor = 0;
    for (const struct table_slot *slot; (slot = table_next(table, &cursor));)
        object_unref(slot->value);
    table_release(table);
}

const struct service *snapshot_next_service(const struct snapshot *snapshot, size_t *cursor)
{
    for (const struct table_slot *slot; (slot = table_next(&snapshot->services, cursor));) {
        const struct built_service *built = ((const struct object *)slot->value)->value;
        if (built)
            return built->service;
    }
    return NULL;
}

void snapshot_free(struct snapshot *snapshot)
{
    if (snapshot->router)
        router_unref(snapshot->router);
    route_edit_drop(snapshot->route_edit); /* routes go before what they refer to */
    if (snapshot->generation.book)
        route_book_leave(&snapshot->generation);
    free_objects(&snapshot->services);
    free_objects(&snapshot->listener_objects);
    free_objects(&snapshot->certificates);
    object_unref(snapshot->consumer_object);
    object_unref(snapshot->gateway_policies);
    object_unref(snapshot->settings_object);
    arena_release(&snapshot->arena);
    memory_free(snapshot);
}
