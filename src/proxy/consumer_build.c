/* Builds a consumer set: counts first, so that every array has its exact size; then binds one consumer after the other through a small
 * arena that is reset each time, so that a million of them leave nothing but what the set keeps. */
#include "base/check.h"
#include "base/hash.h"
#include "base/table.h"
#include "http/message.h"
#include "policy/instance.h"
#include "proxy/consumer_set.h"

enum {
    KEY_SIZE_GOOD = 16, /* a shorter one may be found by trying */
    SCRATCH_BLOCK = 16 * 1024,
};

struct build {
    struct binder *binder;
    const struct policy_builder *builder;
    struct arena *arena, scratch;
    struct consumer_set *set;
    const struct node *nodes; /* the consumers, for places */
    char *names;              /* what is left of the room for names */
    struct table groups;      /* name to struct policy_set, those that have any */
    struct table kinds;       /* groups, each behind its length, to struct consumer_kind */
    size_t keys_max, extras_max, passwords;
};

/* --- keys --- */

static const struct node *key_node(const struct node *consumer, size_t i)
{
    const struct node *keys = node_get(consumer, TEXT("keys"));
    return keys && keys->kind == NODE_LIST ? &keys->items[i] : keys ? keys : consumer;
}

/* The path is made only where something is said. */
static void report_key(struct build *build, enum severity severity, const struct node *node, size_t i,
                       struct text said)
{
    struct report *report = build->binder->report;
    struct text path = bind_enter(build->binder, TEXT("keys"));
    (void)bind_enter_index(build->binder, i);
    if (severity == SEVERITY_ERROR)
        report_error(report, key_node(node, i)->place, build->binder->path, "%.*s", TEXT_ARGS(said));
    else
        report_warning(report, key_node(node, i)->place, build->binder->path, "%.*s", TEXT_ARGS(said));
    bind_leave(build->binder, path);
}

static bool refuse_key(struct build *build, const struct node *node, size_t i, struct text said)
{
    report_key(build, SEVERITY_ERROR, node, i, said);
    return false;
}

static struct text same_key(struct build *build, uint32_t one, uint32_t other)
{
    struct arena *arena = build->binder->report->arena;
    struct text name = build->set->consumers[one].name, here = build->set->consumers[other].name;
    if (one == other)
        return arena_format(arena, "`%.*s` has this key twice", TEXT_ARGS(name));
    struct text there = place_show(build->nodes->keys[one].place, arena);
    return arena_format(
        arena,
        "`%.*s` and `%.*s` (%.*s) have the same key: a key says who calls, so it must be one consumer's",
        TEXT_ARGS(here), TEXT_ARGS(name), TEXT_ARGS(there));
}

static bool add_key(struct build *build, const struct node *node, size_t i, const struct key_config *config,
                    uint32_t consumer)
{
    struct consumer_set *set = build->set;
    int64_t expires_s;
    if (!http_is_field_value(config->key) || text_trim(config->key).size != config->key.size)
        return refuse_key(
            build, node, i,
            TEXT("has a line break, a control character or a space at an end: no header could carry it"));
    if (config->key.size < KEY_SIZE_GOOD)
        report_key(
            build, SEVERITY_WARNING, node, i,
            TEXT("has fewer than 16 bytes: a key should be random and so long that it cannot be guessed"));
    struct consumer_key *key = consumer_keys_place(&set->keys, config->key);
    if (!key)
        return refuse_key(build, node, i, TEXT("its SHA-256 digest could not be made"));
    if (key->owner)
        return refuse_key(build, node, i,
                          same_key(build, consumer_key_owner(set, key, &expires_s), consumer));
    CHECK(set->keys.count < build->keys_max);
    set->keys.count++;
    key->owner = consumer + 1;
    if (config->expires_s) {
        CHECK(set->extras_count < build->extras_max);
        set->extras[set->extras_count++] = (struct consumer_key_extra){key->owner, config->expires_s};
        key->owner = (uint32_t)set->extras_count | CONSUMER_KEY_EXTRA;
    }
    return true;
}

static bool add_keys(struct build *build, const struct node *node, const struct consumer_config *config,
                     uint32_t consumer)
{
    const struct key_config *keys = config->keys.items;
    bool fine = true;
    for (size_t i = 0; i < config->keys.count; i++)
        fine &= add_key(build, node, i, &keys[i], consumer);
    return fine;
}

/* --- kinds --- */

static bool build_policies(struct build *build, struct text scope, const struct node *list, int order,
                           struct policy_set **ret_set)
{
    struct policy_set *set = ARENA_NEW(build->arena, struct policy_set);
    struct text path = bind_enter(build->binder, TEXT("policies"));
    bool fine = set && policy_set_build(build->binder, build->builder, scope, list, order == 1, set);
    bind_leave(build->binder, path);
    *ret_set = set;
    return fine;
}

/* What makes two consumers alike, in `arena`. */
static struct text kind_key(const struct text *groups, size_t count, struct arena *arena)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += sizeof(size_t) + groups[i].size;
    char *key = arena_alloc(arena, size + 1), *to = key;
    if (!key)
        return (struct text){NULL, 0};
    for (size_t i = 0; i < count; i++) {
        memcpy(to, &groups[i].size, sizeof(size_t));
        memcpy(to + sizeof(size_t), groups[i].at, groups[i].size);
        to += sizeof(size_t) + groups[i].size;
    }
    return (struct text){key, size};
}

static struct consumer_kind *new_kind(struct build *build, const struct text *groups, size_t count,
                                      const struct policy_set *own)
{
    struct consumer_kind *kind = ARENA_NEW(build->arena, struct consumer_kind);
    struct text *copies = arena_array(build->arena, count, sizeof *copies);
    const struct policy_set **sets = arena_array(build->arena, count + 1, sizeof *sets);
    if (!kind || !copies || !sets)
        return NULL;
    *kind = (struct consumer_kind){
        .id = build->set->kinds_count++, .groups = copies, .groups_count = count, .sets = sets};
    for (size_t i = 0; i < count; i++) {
        const struct policy_set *set = table_get(&build->groups, groups[i]);
        copies[i] = arena_copy(build->arena, groups[i]);
        if (set)
            sets[kind->sets_count++] = set;
    }
    if (own && own->count)
        sets[kind->sets_count++] = own;
    return kind;
}

static const struct consumer_kind *kind_of(struct build *build, const struct array *groups)
{
    struct text key = kind_key(groups->items, groups->count, &build->scratch);
    struct consumer_kind *kind = key.at ? table_get(&build->kinds, key) : NULL;
    if (kind || !key.at)
        return kind;
    kind = new_kind(build, groups->items, groups->count, NULL);
    key = kind ? kind_key(kind->groups, kind->groups_count, build->arena) : key;
    return kind && key.at && table_put(&build->kinds, key, kind) ? kind : NULL;
}

static bool set_kind(struct build *build, const struct consumer_config *config, struct consumer *consumer)
{
    const struct policy_set *own = NULL;
    if (config->policies) {
        struct policy_set *built;
        struct text scope = arena_format(build->arena, "consumers.%.*s", TEXT_ARGS(consumer->name));
        if (!build_policies(build, scope, config->policies, config->order, &built))
            return false;
        own = built;
    }
    consumer->kind = own && own->count ? new_kind(build, config->groups.items, config->groups.count, own)
                                       : kind_of(build, &config->groups);
    return consumer->kind != NULL;
}

/* --- what few consumers have --- */

static bool set_more(struct build *build, const struct consumer_config *config, struct consumer *consumer)
{
    if (!config->labels.count && !config->password.at && !config->username.at)
        return true;
    struct consumer_more *more = ARENA_NEW(build->arena, struct consumer_more);
    struct text_pair *labels = arena_array(build->arena, config->labels.count, sizeof *labels);
    if (!more || !labels)
        return false;
    const struct text_pair *from = config->labels.items;
    for (size_t i = 0; i < config->labels.count; i++)
        labels[i] = (struct text_pair){arena_copy(build->arena, from[i].key),
                                       arena_copy(build->arena, from[i].value)};
    more->labels = labels;
    more->labels_count = config->labels.count;
    if (config->username.at)
        more->username = arena_copy(build->arena, config->username);
    if (config->password.at)
        more->password = arena_copy(build->arena, config->password);
    consumer->more = more;
    return true;
}

static const struct node *username_place(const struct node *consumer)
{
    const struct node *username = node_get(consumer, TEXT("username"));
    return username ? username : consumer;
}

static bool add_username(struct build *build, const struct node *node, uint32_t number)
{
    struct consumer_set *set = build->set;
    const struct consumer *consumer = &set->consumers[number];
    if (!consumer->more || !consumer->more->password.at)
        return true;
    struct text username = consumer_username(consumer);
    if (text_find_char(username, ':') != TEXT_NONE)
        return bind_error(build->binder, username_place(node), "username",
                          "the name for basic-auth must not have a colon (RFC 7617): set another `username`");
    const struct consumer *same = consumer_set_find_username(set, username);
    if (same)
        return bind_error(build->binder, username_place(node), "username",
                          "`%.*s` and `%.*s` have the same name for basic-auth, `%.*s`",
                          TEXT_ARGS(consumer->name), TEXT_ARGS(same->name), TEXT_ARGS(username));
    consumer_index_put(&set->by_username, hash_text(username), number);
    if (!set->decoy_password.at)
        set->decoy_password = consumer->more->password;
    return true;
}

/* --- consumers --- */

static bool set_name(struct build *build, const struct node *key, struct consumer *consumer)
{
    bool is_short = key->text.size <= sizeof consumer->short_name;
    char *name = is_short ? consumer->short_name : build->names;
    memcpy(name, key->text.at, key->text.size);
    consumer->name = (struct text){name, key->text.size};
    build->names += is_short ? 0 : key->text.size;
    if (key->text.size == 0 || key->text.size > CONSUMER_NAME_MAX || !http_is_field_value(key->text))
        return bind_error(build->binder, key, NULL,
                          "a consumer's name has 1 to %d bytes, without control characters",
                          CONSUMER_NAME_MAX);
    return true;
}

/* The binder allocates in `scratch` meanwhile. */
static bool bind_scratch(struct build *build, const struct field *fields, const struct node *node, void *into)
{
    build->binder->arena = &build->scratch;
    bool fine = field_bind(build->binder, fields, node, into);
    build->binder->arena = build->arena;
    return fine;
}

static bool add_consumer(struct build *build, uint32_t number)
{
    const struct node *key = &build->nodes->keys[number], *node = &build->nodes->items[number];
    struct consumer *consumer = &build->set->consumers[number];
    struct consumer_config config = {.order = 0};
    bool fine = set_name(build, key, consumer);
    if (!fine || !bind_scratch(build, consumer_fields, node, &config))
        return false;
    consumer_index_put(&build->set->by_name, hash_text(consumer->name), number);
    if (config.username.at && !config.password.at)
        fine = bind_error(build->binder, node_get(node, TEXT("username")), "username",
                          "is for basic-auth, but there is no `password`");
    fine &= add_keys(build, node, &config, number);
    uint32_t errors_before = build->binder->report->errors;
    bool made = set_kind(build, &config, consumer) && set_more(build, &config, consumer);
    if (!made && build->binder->report->errors == errors_before)
        return bind_error(build->binder, node, NULL, "out of memory");
    return made && add_username(build, node, number) && fine;
}

static bool add_consumers(struct build *build)
{
    bool fine = true;
    struct text outer = bind_enter(build->binder, TEXT("consumers"));
    for (size_t i = 0; i < build->set->count; i++) {
        struct text path = bind_enter(build->binder, build->nodes->keys[i].text);
        fine &= add_consumer(build, (uint32_t)i);
        bind_leave(build->binder, path);
        arena_reset(&build->scratch);
    }
    bind_leave(build->binder, outer);
    return fine;
}

static bool add_group(struct build *build, const struct node *key, const struct node *node)
{
    struct group_config config = {.order = 0};
    struct policy_set *set = NULL;
    if (!bind_scratch(build, group_fields, node, &config))
        return false;
    struct text name = arena_copy(build->arena, key->text);
    struct text scope = arena_format(build->arena, "groups.%.*s", TEXT_ARGS(name));
    if (!build_policies(build, scope, config.policies, config.order, &set))
        return false;
    return set->count == 0 || table_put(&build->groups, name, set)
           || bind_error(build->binder, node, NULL, "out of memory");
}

static bool add_groups(struct build *build, const struct node *groups)
{
    bool fine = true;
    struct text outer = bind_enter(build->binder, TEXT("groups"));
    for (uint32_t i = 0; groups && i < groups->count; i++) {
        struct text path = bind_enter(build->binder, groups->keys[i].text);
        fine &= add_group(build, &groups->keys[i], &groups->items[i]);
        bind_leave(build->binder, path);
        arena_reset(&build->scratch);
    }
    bind_leave(build->binder, outer);
    return fine;
}

/* --- the whole set --- */

/* Upper bounds from the tree alone; what is wrong with it is found later. Gives the bytes of all names that are not in their consumers. */
static size_t count_parts(struct build *build)
{
    size_t names = 0;
    for (size_t i = 0; i < build->set->count; i++) {
        const struct node *node = &build->nodes->items[i], *keys = node_get(node, TEXT("keys"));
        size_t count = !keys ? 0 : keys->kind == NODE_LIST ? keys->count : 1;
        size_t size = build->nodes->keys[i].text.size;
        names += size > CONSUMER_NAME_SHORT ? size : 0;
        build->keys_max += count;
        for (size_t k = 0; k < count; k++)
            build->extras_max +=
                node_get(keys->kind == NODE_LIST ? &keys->items[k] : keys, TEXT("expires")) != NULL;
        build->passwords += node_get(node, TEXT("password")) != NULL;
    }
    return names;
}

static bool make_room(struct build *build)
{
    struct consumer_set *set = build->set;
    size_t names = count_parts(build);
    set->consumers = arena_aligned(build->arena, sizeof *set->consumers, set->count, sizeof *set->consumers);
    set->extras = arena_array(build->arena, build->extras_max, sizeof *set->extras);
    build->names = arena_alloc(build->arena, names + 1);
    return set->consumers && set->extras && build->names
           && consumer_keys_init(&set->keys, build->arena, build->keys_max)
           && consumer_index_init(&set->by_name, build->arena, set->count)
           && consumer_index_init(&set->by_username, build->arena, build->passwords);
}

static bool is_map(struct binder *binder, const char *name, const struct node *node)
{
    if (!node || node->kind == NODE_MAP || node->kind == NODE_NULL)
        return true;
    return bind_error(binder, node, name, "wants a map of names, got %.*s",
                      TEXT_ARGS(node_show(node, binder->report->arena)));
}

const struct consumer_set *consumer_set_build(struct binder *binder, const struct policy_builder *builder,
                                              const struct node *consumers, const struct node *groups)
{
    struct build build = {.binder = binder, .builder = builder, .arena = binder->arena, .nodes = consumers};
    bool fine = is_map(binder, "consumers", consumers);
    fine &= is_map(binder, "groups", groups);
    if (!fine)
        return NULL;
    build.set = ARENA_NEW(binder->arena, struct consumer_set);
    if (build.set)
        build.set->count = consumers ? consumers->count : 0;
    arena_init(&build.scratch, SCRATCH_BLOCK, 0);
    build.scratch.wipe = true; /* keys pass through it */
    if (!build.set || !make_room(&build)) {
        report_error(binder->report, consumers ? consumers->place : (struct place){0}, TEXT("consumers"),
                     "out of memory");
        fine = false;
    } else {
        fine = add_groups(&build, groups);
        fine &= add_consumers(&build);
    }
    table_release(&build.groups);
    table_release(&build.kinds);
    arena_release(&build.scratch);
    return fine && !binder->arena->failed ? build.set : NULL;
}
