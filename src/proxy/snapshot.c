/* Builds snapshots object by object, sharing with the one before all that did not change. */
#include "proxy/snapshot.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/time.h"
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "proxy/settings.h"

enum { OBJECT_BLOCK = 1024 };

const struct object_kind snapshot_kinds[] = {
    {"", settings_fields, "The top level of the file."},
    {"listeners", listener_fields, "A listener: an address where clients connect."},
    {"services", service_fields, "A service: a logical backend. A service may be one URL."},
    {"routes", route_fields, "A route: which requests it takes, and what happens to them."},
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

static void object_unref(struct object *object)
{
    if (!object || --object->refs > 0)
        return;
    arena_release(&object->arena);
    memory_free(object);
}

static struct object *object_new(struct build *build, struct text name, uint64_t hash)
{
    struct object *object = memory_zero(sizeof *object);
    if (!object)
        return NULL;
    arena_init(&object->arena, OBJECT_BLOCK, 0);
    object->hash = hash;
    object->serial = ++build->builder->serials;
    object->refs = 1;
    object->name = arena_copy(&object->arena, name);
    build->snapshot->objects_built++;
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
    if (!before || before->hash != hash || !before->value)
        return NULL;
    for (const struct file_stamp *stamp = before->files; stamp; stamp = stamp->next)
        if (!file_stamp_is_current(stamp))
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

/* One object of a map: the same as before, or built anew. An object that failed has no value, so that references to it are not called unknown. */
static bool add_object(struct build *build, const char *map, struct table *table, const struct table *before,
                       const struct node *key, const struct node *node, uint64_t hash, object_build *make)
{
    struct object *object = shared(build, before ? table_get(before, key->text) : NULL, hash);
    if (!object) {
        object = object_new(build, key->text, hash);
        if (!object)
            return false;
        struct binder binder = binder_of(build, object, map, key->text);
        if (key->text.size == 0)
            bind_error(&binder, key, NULL, "a name cannot be empty");
        else
            object->value = make(build, &binder, object->name, node);
        object->files = binder.files;
        check_memory(build, object, object->value);
    }
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

static bool add_listeners(struct build *build)
{
    struct snapshot *snapshot = build->snapshot;
    const struct node *node = build->config->listeners;
    if (!add_map(build, "listeners", node, &snapshot->listener_objects,
                 build->previous ? &build->previous->listener_objects : NULL, make_listener))
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
        object = object_new(build, TEXT("policies"), hash);
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
    build->scope.gateway_policies = object->value ? build->snapshot->fallback->sets[0] : NULL;
    return true;
}

static bool add_consumers(struct build *build)
{
    uint64_t hash = hash_with(hash_of(build->config->consumers), hash_of(build->config->groups));
    struct object *object = shared(build, build->previous ? build->previous->consumer_object : NULL, hash);
    if (!object) {
        object = object_new(build, TEXT("consumers"), hash);
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

static bool add_routes(struct build *build)
{
    struct snapshot *snapshot = build->snapshot;
    const struct node *node = build->config->routes;
    build->scope.services = &snapshot->services;
    if (!is_map(build, "routes", node))
        return true;
    for (uint32_t i = 0; i < node->count; i++) {
        const struct object *service = table_get(&snapshot->services, route_service_name(&node->items[i]));
        uint64_t hash = hash_with(hash_with(node->items[i].hash, service ? service->serial : 0),
                                  snapshot->gateway_policies->serial);
        if (!add_object(build, "routes", &snapshot->routes, build->previous ? &build->previous->routes : NULL,
                        &node->keys[i], &node->items[i], hash, make_route))
            return false;
    }
    return true;
}

/* --- the router: what changed, in one edit --- */

static struct route *routed(const struct table *routes, struct text name)
{
    const struct object *object = routes ? table_get(routes, name) : NULL;
    struct route *route = object ? object->value : NULL;
    return route && route->enabled ? route : NULL;
}

static size_t collect(const struct table *from, const struct table *other, bool remove,
                      struct router_change *changes)
{
    size_t count = 0, cursor = 0;
    for (const struct table_slot *slot; from && (slot = table_next(from, &cursor));) {
        struct route *route = routed(from, slot->key);
        if (route && routed(other, slot->key) != route)
            changes[count++] = (struct router_change){remove, route->key};
    }
    return count;
}

static bool edit_router(struct build *build)
{
    struct snapshot *snapshot = build->snapshot;
    const struct table *before = build->previous ? &build->previous->routes : NULL;
    struct router *base = build->previous ? router_ref(build->previous->router) : router_new();
    struct router_change *changes =
        memory_array(snapshot->routes.count + (before ? before->count : 0), sizeof *changes);
    struct error error = {.said = "out of memory"};
    if (base && changes) {
        size_t count = collect(before, &snapshot->routes, true, changes);
        count += collect(&snapshot->routes, before, false, changes + count);
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

/* --- files to watch: the documents', and what objects were made from --- */

static void visit_stamps(struct snapshot *snapshot,
                         void (*visit)(struct snapshot *snapshot, struct text path))
{
    const struct table *const tables[] = {&snapshot->listener_objects, &snapshot->services,
                                          &snapshot->routes};
    const struct object *const singles[] = {snapshot->gateway_policies, snapshot->consumer_object};
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        size_t cursor = 0;
        for (const struct table_slot *slot; (slot = table_next(tables[i], &cursor));)
            for (const struct file_stamp *stamp = ((struct object *)slot->value)->files; stamp;
                 stamp = stamp->next)
                visit(snapshot, stamp->path);
    }
    for (size_t i = 0; i < COUNT_OF(singles); i++)
        for (const struct file_stamp *stamp = singles[i] ? singles[i]->files : NULL; stamp;
             stamp = stamp->next)
            visit(snapshot, stamp->path);
}

static void count_file(struct snapshot *snapshot, struct text path)
{
    (void)path;
    snapshot->files_count++;
}

static void add_file(struct snapshot *snapshot, struct text path)
{
    snapshot->files[snapshot->files_count++] = arena_copy(&snapshot->arena, path);
}

static bool collect_files(struct snapshot *snapshot, const struct document *document)
{
    snapshot->files_count = document->files_count;
    visit_stamps(snapshot, count_file);
    snapshot->files = arena_array(&snapshot->arena, snapshot->files_count, sizeof *snapshot->files);
    snapshot->files_count = 0;
    if (!snapshot->files)
        return false;
    for (size_t i = 0; i < document->files_count; i++)
        add_file(snapshot, document->files[i]);
    visit_stamps(snapshot, add_file);
    return true;
}

static bool build_all(struct build *build, const struct document *document, struct settings_config *config)
{
    struct object *settings = object_new(build, TEXT("settings"), 0);
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
    return add_listeners(build) && add_gateway_policies(build) && add_consumers(build)
           && add_map(build, "services", config->services, &build->snapshot->services,
                      previous ? &previous->services : NULL, make_service)
           && add_routes(build) && collect_files(build->snapshot, document);
}

struct snapshot *snapshot_build(struct snapshot_builder *builder, const struct document *document,
                                struct snapshot *previous, struct report *report)
{
    struct snapshot *snapshot = memory_zero(sizeof *snapshot);
    if (!snapshot) {
        report_error(report, (struct place){0}, TEXT(""), "out of memory");
        return NULL;
    }
    int64_t began_ns = time_monotonic_ns();
    arena_init(&snapshot->arena, 0, 0);
    struct settings_config config;
    struct build build = {.builder = builder, .snapshot = snapshot, .previous = previous, .report = report};
    bool fine = build_all(&build, document, &config) && !snapshot->arena.failed;
    if (!fine && report->errors == 0)
        report_error(report, (struct place){0}, TEXT(""), "out of memory");
    if (fine)
        check_addresses(&build);
    if (report->errors == 0 && !(fine && edit_router(&build)))
        fine = false;
    if (report->errors > 0 || !fine) {
        snapshot_free(snapshot);
        return NULL;
    }
    snapshot->version = ++builder->versions;
    snapshot->built_ns = time_monotonic_ns() - began_ns;
    return snapshot;
}

static void free_objects(struct table *table)
{
    size_t cursor = 0;
    for (const struct table_slot *slot; (slot = table_next(table, &cursor));)
        object_unref(slot->value);
    table_release(table);
}

void snapshot_free(struct snapshot *snapshot)
{
    if (snapshot->router)
        router_unref(snapshot->router);
    free_objects(&snapshot->routes); /* before what they refer to */
    free_objects(&snapshot->services);
    free_objects(&snapshot->listener_objects);
    object_unref(snapshot->consumer_object);
    object_unref(snapshot->gateway_policies);
    object_unref(snapshot->settings_object);
    arena_release(&snapshot->arena);
    memory_free(snapshot);
}
