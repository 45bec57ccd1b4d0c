/* From configuration and sources to endpoint sets. */
#include "upstream/members.h"

#include <errno.h>
#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/dns_message.h"
#include "upstream/endpoint_spec.h"
#include "upstream/endpoint_target.h"
#include "upstream/health_checker.h"
#include "upstream/service.h"

enum { WEIGHT_MAX = 65535, PRIORITY_UNIT = 1 << 16, HOST_SIZE = DNS_NAME_SIZE + sizeof ":65535" };

/* A configured endpoint, and the source that says where it is. */
struct member {
    const struct endpoint_spec *spec;
    struct endpoint_target target;
    struct source *source; /* NULL: its address is written down */
    struct source_use use;
    struct service_members *owner;
};

struct member_list {
    struct member *items;
    uint32_t count;
};

/* A set with its arena, whose release gives the claims on its endpoints back. */
struct owned_set {
    struct arena arena;
    struct endpoint_set *set;
    struct endpoints_round round;
};

struct service_members {
    struct service *service;
    struct endpoints *endpoints;
    struct discovery *discovery;
    struct members_config config;
    struct member_list configured, in_file;
    struct source *file;
    struct source_use file_use;
    uint64_t file_changes; /* of the file, as `in_file` has it */
    struct owned_set *current;
    struct task rebuild;
    bool posted, said_too_many;
};

/* --- sources --- */

static void rebuild(struct task *task);

static void post_rebuild(struct service_members *members)
{
    if (members->posted || !members->current) /* while the first set is made nothing is missed */
        return;
    members->posted = true;
    members->rebuild.run = rebuild;
    loop_post(endpoints_loop(members->endpoints), &members->rebuild);
}

static void member_changed(struct source_use *use)
{
    post_rebuild(CONTAINER_OF(use, struct member, use)->owner);
}

static void file_changed(struct source_use *use)
{
    post_rebuild(CONTAINER_OF(use, struct service_members, file_use));
}

static void release_members(struct member_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i].source)
            source_release(list->items[i].source, &list->items[i].use);
    list->count = 0;
}

/* False: `*reterr` says what is wrong with the URL, or no memory. */
static bool add_member(struct service_members *members, struct member_list *list,
                       const struct endpoint_spec *spec, struct error *reterr)
{
    struct member *member = &list->items[list->count];
    *member = (struct member){.spec = spec, .owner = members, .use = {.changed = member_changed}};
    if (!endpoint_target_parse(spec->url, &member->target, reterr))
        return false;
    if (member->target.kind != TARGET_ADDRESS) {
        enum source_kind kind = member->target.kind == TARGET_SRV ? SOURCE_SRV : SOURCE_DNS;
        member->source = source_claim(members->discovery, kind, member->target.name, &member->use);
        if (!member->source) {
            error_set(reterr, -ENOMEM, "out of memory");
            return false;
        }
    }
    list->count++;
    return true;
}

/* What the file says now; names that it still has are claimed again before they are released. */
static void read_file(struct service_members *members)
{
    struct member_list fresh = {0};
    struct error error;
    if (!members->file || members->file_changes == members->file->changes)
        return;
    fresh.items = memory_array(members->file->specs_count, sizeof *fresh.items);
    if (!fresh.items)
        return; /* the change is not lost: it is seen again with the next one */
    for (uint32_t i = 0; i < members->file->specs_count; i++)
        if (!add_member(members, &fresh, &members->file->specs[i], &error))
            log_error("an endpoint of a file is left out", LOG_TEXT("service", members->service->name),
                      LOG_TEXT("url", members->file->specs[i].url), LOG_STRING("reason", error.said));
    release_members(&members->in_file);
    memory_free(members->in_file.items);
    members->in_file = fresh;
    members->file_changes = members->file->changes;
}

/* --- a set --- */

/* One making of a set. */
struct making {
    struct service_members *members;
    struct owned_set *owned;
    struct service_endpoint *endpoints;
    uint32_t count, room;
    uint32_t serial; /* marks endpoints that are in this set already */
    uint64_t weight_most;
    struct error *error;
};

struct claimed_endpoint {
    struct endpoints *endpoints;
    struct endpoint *endpoint;
};

static void release_endpoint(void *argument)
{
    struct claimed_endpoint *claimed = argument;
    endpoint_release(claimed->endpoints, claimed->endpoint);
}

static struct endpoint *claim(struct making *making, const struct endpoint_identity *identity)
{
    struct endpoints *endpoints = making->members->endpoints;
    struct claimed_endpoint *claimed = ARENA_NEW(&making->owned->arena, struct claimed_endpoint);
    struct endpoint *endpoint = claimed ? endpoint_claim(endpoints, identity) : NULL;
    if (!endpoint) {
        error_set(making->error, -ENOMEM, "out of memory");
        return NULL;
    }
    *claimed = (struct claimed_endpoint){endpoints, endpoint};
    if (arena_defer(&making->owned->arena, release_endpoint, claimed))
        return endpoint;
    endpoint_release(endpoints, endpoint);
    error_set(making->error, -ENOMEM, "out of memory");
    return NULL;
}

static struct array copy_labels(struct arena *arena, const struct array *labels)
{
    struct text_pair *copy = arena_array(arena, labels->count, sizeof *copy);
    const struct text_pair *from = labels->items;
    for (size_t i = 0; copy && i < labels->count; i++)
        copy[i] = (struct text_pair){arena_copy(arena, from[i].key), arena_copy(arena, from[i].value)};
    return (struct array){copy, copy ? labels->count : 0};
}

/* Texts are copied: those of a file go when it changes. One that is there already is not taken twice. */
static bool add_endpoint(struct making *making, const struct endpoint_spec *spec,
                         const struct endpoint_identity *identity, uint32_t priority, uint64_t weight)
{
    struct arena *arena = &making->owned->arena;
    if (making->count == making->room)
        return true; /* said when the room was made */
    struct endpoint *endpoint = claim(making, identity);
    if (!endpoint)
        return false;
    if (endpoint->mark == making->serial)
        return true;
    endpoint->mark = making->serial;
    making->weight_most = MAX_OF(making->weight_most, weight);
    making->endpoints[making->count++] = (struct service_endpoint){
        .endpoint = endpoint,
        .weight = (uint32_t)MIN_OF(weight, (uint64_t)UINT32_MAX),
        .priority = (uint32_t)spec->priority * PRIORITY_UNIT + priority,
        .drain = spec->drain,
        .zone = arena_copy(arena, spec->zone),
        .labels = copy_labels(arena, &spec->labels),
    };
    return true;
}

static bool is_of_family(const struct service_members *members, const struct address *address)
{
    switch (members->config.family) {
    case FAMILY_ANY: return true;
    case FAMILY_IPV4: return address->any.sa_family == AF_INET;
    case FAMILY_IPV6: return address->any.sa_family == AF_INET6;
    }
    UNREACHABLE();
}

/* One address that the source of a member knows. */
static bool add_found(struct making *making, const struct member *member, const struct found *found)
{
    char url[sizeof "https://" + ADDRESS_TEXT_SIZE], host[HOST_SIZE];
    struct address address = found->address;
    struct endpoint_identity identity = {.service = making->members->service->name,
                                         .source = member->source->key,
                                         .host = member->target.authority,
                                         .server = member->target.server,
                                         .tls = member->target.tls};
    if (member->target.kind == TARGET_NAME) {
        if (address.any.sa_family == AF_INET)
            address.v4.sin_port = htons(member->target.port);
        else
            address.v6.sin6_port = htons(member->target.port);
    } else {
        bool plain = address_port(&address) == (member->target.tls ? 443 : 80);
        int size =
            plain ? snprintf(host, sizeof host, "%.*s", TEXT_ARGS(found->host))
                  : snprintf(host, sizeof host, "%.*s:%u", TEXT_ARGS(found->host), address_port(&address));
        identity.host = (struct text){host, (size_t)size};
        identity.server = found->host;
    }
    size_t prefix = member->target.tls ? 8 : 7;
    memcpy(url, member->target.tls ? "https://" : "http://", prefix);
    identity.url = (struct text){url, prefix + address_write(&address, url + prefix)};
    identity.address = address;
    return add_endpoint(making, member->spec, &identity, found->priority,
                        (uint64_t)member->spec->weight * found->weight);
}

static bool add_all(struct making *making, const struct member_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct member *member = &list->items[i];
        if (!member->source) {
            struct endpoint_identity identity = {
                .service = making->members->service->name,
                .url = member->spec->url,
                .host = member->target.authority,
                .server = member->target.server,
                .tls = member->target.tls,
                .source = list == &making->members->in_file ? making->members->file->key : TEXT("config"),
                .address = member->target.address};
            if (!add_endpoint(making, member->spec, &identity, 0, (uint64_t)member->spec->weight))
                return false;
            continue;
        }
        for (uint32_t k = 0; k < member->source->found_count; k++)
            if (is_of_family(making->members, &member->source->found[k].address)
                && !add_found(making, member, &member->source->found[k]))
                return false;
    }
    return true;
}

static uint64_t count_of(const struct member_list *list)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < list->count; i++)
        count += list->items[i].source ? list->items[i].source->found_count : 1;
    return count;
}

/* Weights of service records times those of the configuration may be large: in proportion to what balancing takes. */
static void scale_weights(struct making *making)
{
    for (uint32_t i = 0; i < making->count && making->weight_most > WEIGHT_MAX; i++) {
        uint64_t weight = making->endpoints[i].weight;
        if (weight > 0)
            making->endpoints[i].weight = (uint32_t)MAX_OF(weight * WEIGHT_MAX / making->weight_most, 1u);
    }
}

static bool make_room(struct making *making, uint64_t wanted)
{
    struct service_members *members = making->members;
    making->room = (uint32_t)MIN_OF(wanted, (uint64_t)members->config.endpoints_max);
    if (wanted > making->room && !members->said_too_many)
        log_warn("more endpoints than `discovery.endpoints`; the rest are left out",
                 LOG_TEXT("service", members->service->name), LOG_INT("found", wanted),
                 LOG_INT("limit", making->room));
    members->said_too_many = wanted > making->room;
    atomic_store(&members->service->shared->endpoints_left_out, wanted - making->room);
    making->endpoints = arena_array(&making->owned->arena, making->room, sizeof *making->endpoints);
    return making->endpoints != NULL;
}

static void free_set(struct owned_set *owned)
{
    arena_release(&owned->arena);
    memory_free(owned);
}

/* NULL: `*reterr` says why. */
static struct owned_set *make_set(struct service_members *members, struct error *reterr)
{
    struct service *service = members->service;
    struct owned_set *owned = memory_zero(sizeof *owned);
    struct making making = {.members = members, .owned = owned, .error = reterr};
    error_set(reterr, -ENOMEM, "out of memory");
    if (!owned)
        return NULL;
    arena_init(&owned->arena, 0, 0);
    making.serial = endpoints_next_serial(members->endpoints);
    if (make_room(&making, count_of(&members->configured) + count_of(&members->in_file))
        && add_all(&making, &members->configured) && add_all(&making, &members->in_file)) {
        scale_weights(&making);
        owned->set = endpoint_set_build(&owned->arena, &service->balance, service->shared, making.endpoints,
                                        making.count, reterr);
    }
    if (owned->set && !owned->arena.failed)
        return owned;
    free_set(owned);
    return NULL;
}

/* --- changes --- */

static void round_over(struct endpoints_round *round)
{
    free_set(CONTAINER_OF(round, struct owned_set, round));
}

/* For status pages: what the newest set says of each endpoint. */
static void show_roles(const struct endpoint_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct service_endpoint *from = &set->endpoints[i];
        struct endpoint_role *role = &from->endpoint->role;
        *role = (struct endpoint_role){from->weight, from->priority / PRIORITY_UNIT,
                                       from->priority % PRIORITY_UNIT, from->drain, ""};
        snprintf(role->zone, sizeof role->zone, "%.*s", TEXT_ARGS(from->zone));
    }
}

static void publish(struct service_members *members, struct owned_set *fresh)
{
    struct owned_set *old = members->current;
    show_roles(fresh->set);
    health_checker_await(members->service, fresh->set);
    members->current = fresh;
    atomic_store_explicit(&members->service->set, fresh->set, memory_order_release);
    if (!old)
        return; /* the service is registered with the checker when it is built */
    service_health_changed(members->service);
    if (members->service->health->checker)
        health_checker_sync(members->service->health);
    endpoints_round_start(members->endpoints, &old->round, round_over);
}

/* Never empties a service: with nothing to put in their place the old endpoints stay. */
static void rebuild(struct task *task)
{
    struct service_members *members = CONTAINER_OF(task, struct service_members, rebuild);
    struct error error;
    members->posted = false;
    read_file(members);
    struct owned_set *fresh = make_set(members, &error);
    uint32_t before = members->current->set->count;
    if (fresh && fresh->set->count == 0 && before == 0) { /* names are known, their addresses are not */
        free_set(fresh);
        return;
    }
    if (!fresh || fresh->set->count == 0) {
        log_error("endpoints cannot be changed; the old ones stay",
                  LOG_TEXT("service", members->service->name),
                  LOG_STRING("reason", fresh ? "none would be left" : error.said));
        if (fresh)
            free_set(fresh);
        return;
    }
    log_info("endpoints changed", LOG_TEXT("service", members->service->name), LOG_INT("before", before),
             LOG_INT("now", fresh->set->count));
    publish(members, fresh);
}

/* --- making --- */

static void release(void *argument)
{
    struct service_members *members = argument;
    if (members->posted)
        (void)loop_unpost(endpoints_loop(members->endpoints), &members->rebuild);
    release_members(&members->configured);
    release_members(&members->in_file);
    memory_free(members->in_file.items);
    if (members->file)
        source_release(members->file, &members->file_use);
    if (members->current)
        free_set(members->current); /* no exchange has the service any more, so no worker looks at it */
}

/* The part of the tree that says something about endpoint `i`. */
static const struct node *spec_node(const struct node *node, size_t i)
{
    const struct node *list = node_get(node, TEXT("endpoints"));
    return !list ? node : list->kind == NODE_LIST && i < list->count ? &list->items[i] : list;
}

static bool is_listed(const struct member_list *list, struct text url)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (text_equal(list->items[i].spec->url, url))
            return true;
    return false;
}

static bool add_configured(struct binder *binder, struct service_members *members, const struct node *node)
{
    const struct array *specs = &members->config.specs;
    const struct endpoint_spec *spec = specs->items;
    bool fine = true;
    members->configured.items = arena_array(binder->arena, specs->count, sizeof *members->configured.items);
    if (!members->configured.items)
        return bind_error(binder, node, NULL, "out of memory");
    for (size_t i = 0; i < specs->count; i++) {
        struct error error = {0};
        if (is_listed(&members->configured, spec[i].url))
            fine = bind_error(binder, spec_node(node, i), "endpoints",
                              "`%.*s` is listed twice; use `weight` instead", TEXT_ARGS(spec[i].url));
        else if (!add_member(members, &members->configured, &spec[i], &error))
            fine = bind_error(binder, spec_node(node, i), "endpoints", "`%.*s`: %s", TEXT_ARGS(spec[i].url),
                              error.said);
    }
    return fine;
}

/* A file that is bad now but was good before is no error: what it said stays. */
static bool add_file(struct binder *binder, struct service_members *members, const struct node *node)
{
    const struct node *place = node_get(node, TEXT("endpoints_file"));
    if (!members->config.file.size)
        return true;
    members->file_use.changed = file_changed;
    members->file = source_claim(members->discovery, SOURCE_FILE, members->config.file, &members->file_use);
    if (!members->file)
        return bind_error(binder, node, NULL, "out of memory");
    if (members->file->answers == 0)
        return bind_error(binder, place ? place : node, "endpoints_file", "%s", members->file->reason);
    read_file(members);
    return true;
}

bool members_make(struct binder *binder, const struct service_builder *builder, struct service *service,
                  const struct members_config *config, const struct node *node)
{
    struct error error = {0};
    struct service_members *members = ARENA_NEW(binder->arena, struct service_members);
    if (!members || !arena_defer(binder->arena, release, members))
        return bind_error(binder, node, NULL, "out of memory");
    members->service = service;
    members->endpoints = builder->endpoints;
    members->discovery = builder->discovery;
    members->config = *config;
    bool fine = add_configured(binder, members, node);
    if (!(add_file(binder, members, node) && fine))
        return false;
    struct owned_set *first = make_set(members, &error);
    if (!first)
        return bind_error(binder, node, "endpoints", "%s", error.said);
    publish(members, first);
    return true;
}
