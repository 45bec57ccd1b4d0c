/* Which certificates and rules each server name of a listener gets. */
#include "tls/server_private.h"

/* What holds for a name, while it is built. */
struct rules {
    const struct tls_settings *settings;
    const struct client_config *client;
    const struct node *client_node; /* the map that `client` is in */
    const struct tls_profile *profile;
};

static const struct certificate *certificate_named(struct building *building, const struct node *node,
                                                   size_t index, struct text name)
{
    bool known = false;
    const struct certificate *one =
        building->certificates->find
            ? building->certificates->find(building->certificates->argument, name, &known)
            : NULL;
    const struct node *list = node_get(node, TEXT("certificates"));
    const struct node *at =
        list && list->kind == NODE_LIST && index < list->count ? &list->items[index] : list;
    if (!known)
        bind_error(building->binder, at, "certificates", "there is no certificate `%.*s` at the top level",
                   TEXT_ARGS(name));
    return one;
}

/* One of each kind of key: the first that is listed. */
static bool add_certificate(struct tls_name *name, const struct certificate *one)
{
    for (unsigned i = 0; i < name->certificates_count; i++)
        if (name->certificates[i] == one || name->certificates[i]->key_type == one->key_type)
            return name->certificates[i] == one;
    if (name->certificates_count < NAME_CERTIFICATES_MAX)
        name->certificates[name->certificates_count++] = one;
    return true;
}

static struct tls_name *name_entry(struct building *building, struct text host,
                                   const struct tls_profile *profile)
{
    struct tls_server *server = building->server;
    struct tls_name *name = table_get(&server->names, host);
    if (name)
        return name;
    name = ARENA_NEW(building->binder->arena, struct tls_name);
    if (!name || !table_put(&server->names, host, name))
        return NULL;
    name->profile = profile;
    return name;
}

static bool serve(struct building *building, const struct certificate *one)
{
    struct tls_server *server = building->server;
    struct binder *binder = building->binder;
    for (size_t i = 0; i < one->names_count; i++) {
        struct tls_name *name = name_entry(building, one->names[i], server->fallback.profile);
        if (!name)
            return bind_error(binder, building->node, NULL, "out of memory");
        if (!add_certificate(name, one))
            report_warning(
                binder->report, building->node->place, binder->path,
                "`%.*s` is not used for %.*s: another one with the same kind of key is listed before it",
                TEXT_ARGS(one->name), TEXT_ARGS(one->names[i]));
    }
    return true;
}

/* The certificates of the listener's list; the first one, and those with other kinds of keys that are for the same name, serve the rest. */
static bool add_listed(struct building *building)
{
    const struct text *listed = building->config->rules.certificates.items;
    struct tls_server *server = building->server;
    bool fine = true;
    for (size_t i = 0; i < building->config->rules.certificates.count; i++) {
        const struct certificate *one = certificate_named(building, building->node, i, listed[i]);
        fine &= one != NULL;
        if (!one)
            continue;
        if (server->fallback.certificates_count == 0)
            (void)add_certificate(&server->fallback, one);
        fine &= serve(building, one);
    }
    const struct certificate *first = fine ? server->fallback.certificates[0] : NULL;
    const struct tls_name *name =
        first && first->names_count ? table_get(&server->names, first->names[0]) : NULL;
    for (unsigned i = 0; name && i < name->certificates_count; i++)
        (void)add_certificate(&server->fallback, name->certificates[i]);
    return fine;
}

static bool is_own(const struct rules_config *rules)
{
    const struct tls_settings *settings = &rules->settings;
    return rules->client.verify || settings->min_version || settings->max_version || settings->ciphers.at
           || settings->ciphersuites.at || settings->groups.at;
}

static struct rules listener_rules(const struct building *building)
{
    const struct rules_config *config = &building->config->rules;
    return (struct rules){&config->settings, &config->client, building->node,
                          building->server->fallback.profile};
}

/* What holds for a name unless its entry says otherwise: the entry of its wildcard, or the listener. */
static struct rules rules_above(const struct building *building, struct text host)
{
    const struct tls_name *name = tls_server_wildcard(building->server, host);
    const struct rules *rules = name ? name->rules : NULL;
    return rules && !text_starts_with(host, TEXT("*.")) ? *rules : listener_rules(building);
}

/* The rules of an entry. False: the report says why. */
static bool set_rules(struct building *building, const struct rules_config *config, const struct node *node,
                      struct rules *rules)
{
    struct arena *arena = building->binder->arena;
    struct rules above = rules_above(building, config->name);
    struct tls_settings *merged = ARENA_NEW(arena, struct tls_settings);
    if (!merged)
        return bind_error(building->binder, node, NULL, "out of memory");
    *merged = tls_settings_merge(&config->settings, above.settings);
    bool inherits = config->client.verify == 0;
    *rules = (struct rules){merged, inherits ? above.client : &config->client,
                            inherits ? above.client_node : node, above.profile};
    if (is_own(config))
        rules->profile = tls_server_make_profile(building, merged, rules->client,
                                                 tls_server_scope(config->name), node, rules->client_node);
    return rules->profile != NULL;
}

static bool add_certificates(struct building *building, const struct rules_config *config,
                             const struct node *node, struct tls_name *name)
{
    const struct text *listed = config->certificates.items;
    const struct tls_name *shared = tls_server_wildcard(building->server, config->name);
    if (config->certificates.count)
        name->certificates_count = 0;
    for (size_t i = 0; i < config->certificates.count; i++) {
        const struct certificate *one = certificate_named(building, node, i, listed[i]);
        if (!one)
            return false;
        (void)add_certificate(name, one);
    }
    for (unsigned i = 0; shared && name->certificates_count == 0 && i < shared->certificates_count; i++)
        (void)add_certificate(name, shared->certificates[i]);
    return name->certificates_count > 0
           || bind_error(building->binder, node, "certificates",
                         "none of the listener's certificates is for this name");
}

static bool add_name(struct building *building, const struct rules_config *config, const struct node *node)
{
    struct rules *rules = ARENA_NEW(building->binder->arena, struct rules);
    struct tls_name *name = name_entry(building, config->name, building->server->fallback.profile);
    if (!rules || !name)
        return bind_error(building->binder, node, NULL, "out of memory");
    if (!set_rules(building, config, node, rules))
        return false;
    name->rules = rules;
    name->profile = rules->profile;
    return add_certificates(building, config, node, name);
}

/* A certificate lists names too. Those without an entry obey the entry of their wildcard, as a name that only the wildcard covers does. */
static void obey_wildcards(struct tls_server *server)
{
    size_t cursor = 0;
    for (const struct table_slot *slot; (slot = table_next(&server->names, &cursor));) {
        struct tls_name *name = slot->value;
        const struct tls_name *wildcard = tls_server_wildcard(server, slot->key);
        if (!name->rules && wildcard && wildcard->rules)
            name->profile = wildcard->profile;
    }
}

/* They point to what is gone when the snapshot is built. */
static void forget_rules(struct tls_server *server)
{
    size_t cursor = 0;
    for (const struct table_slot *slot; (slot = table_next(&server->names, &cursor));)
        ((struct tls_name *)slot->value)->rules = NULL;
}

/* The entries of wildcards, or all others. */
static bool add_entries(struct building *building, bool wildcards)
{
    const struct rules_config *all = building->config->names.items;
    const struct node *map = node_get(building->node, TEXT("names"));
    struct binder *binder = building->binder;
    bool fine = true;
    for (size_t i = 0; i < building->config->names.count; i++) {
        if (text_starts_with(all[i].name, TEXT("*.")) != wildcards)
            continue;
        struct text path = bind_enter(binder, TEXT("names")), inner = bind_enter(binder, all[i].name);
        fine &= add_name(building, &all[i], &map->items[i]);
        bind_leave(binder, inner);
        bind_leave(binder, path);
    }
    return fine;
}

static bool add_all_entries(struct building *building)
{
    struct rules_config *all = building->config->names.items;
    for (size_t i = 0; i < building->config->names.count; i++) {
        char *host = (char *)(uintptr_t)all[i].name.at; /* bound for us */
        for (size_t k = 0; k < all[i].name.size; k++)
            host[k] = char_lower(host[k]);
    }
    bool wildcards = add_entries(building, true), others = add_entries(building, false);
    obey_wildcards(building->server);
    forget_rules(building->server);
    return wildcards && others;
}

bool tls_server_add_names(struct building *building)
{
    return add_listed(building) && add_all_entries(building);
}
