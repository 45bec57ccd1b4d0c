/* Builds the server side of TLS from a listener's configuration. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/states.h"
#include "tls/library.h"
#include "tls/pem.h"
#include "tls/server.h"
#include "tls/tickets.h"

struct client_config {
    int verify; /* 0: not given */
    const struct node *ca, *crl;
    int64_t depth;
};

struct rules_config {
    struct text name; /* of an entry of `names` */
    struct array certificates;
    struct tls_settings settings;
    struct client_config client;
};

struct tickets_config {
    bool enabled;
    int64_t rotate_ms, count;
    struct text file;
};

struct handshakes_config {
    int64_t concurrent, rate, queue;
};

struct server_config {
    struct rules_config rules;
    struct array names;
    struct array alpn;
    int unknown_name;
    struct tickets_config tickets;
    struct handshakes_config handshakes;
    struct text key_log;
};

static const char *const verify_choices[] = {"inherit", "off", "request", "require", NULL};
static const struct field client_fields[] = {
    FIELD_CHOICE(
        struct client_config, verify, "verify", "inherit", verify_choices,
        "`require` a certificate that `ca` vouches for; `request` one and let routes and policies decide (`source.tls.verified`); or `off`. `inherit`: as the listener has it, where it is `off` unless given."),
    FIELD_NODE(
        struct client_config, ca, "ca", OPTIONAL, "{\"type\":\"string\"}",
        "Certificates of the authorities that clients' certificates come from, in PEM: a path or the text."),
    FIELD_NODE(
        struct client_config, crl, "crl", OPTIONAL, "{\"type\":\"string\"}",
        "Revocation lists of those authorities, in PEM: a path or the text. With it, each needs one in force."),
    FIELD_INTEGER(struct client_config, depth, "depth", "4", 0, 20,
                  "Most certificates between the client's and the authority's."),
    FIELD_END,
};

static const struct field name_fields[] = {
    FIELD_LIST(
        struct rules_config, certificates, "certificates", "[]", &field_item_text,
        FIELD_ONE_OR_MORE | FIELD_UNIQUE,
        "Of the top level's `certificates`; unless given, those of the listener that are for this name."),
    TLS_SETTINGS_FIELDS(struct rules_config, settings),
    FIELD_STRUCT(struct rules_config, client, "client", "{}", client_fields,
                 "Certificates of clients (mTLS)."),
    FIELD_END,
};
static const struct field name_item = ITEM_STRUCT(struct rules_config, name_fields);

static const struct field tickets_fields[] = {
    FIELD_BOOL(struct tickets_config, enabled, "enabled", "true",
               "Let clients resume sessions, which saves the costly part of a handshake."),
    FIELD_DURATION(struct tickets_config, rotate_ms, "rotate", "1h", 1000, 86400000,
                   "How long a key seals tickets; they are opened for two more such times."),
    FIELD_TEXT(
        struct tickets_config, file, "file", OPTIONAL,
        "Keys that several nodes share: a file of one to three keys of 80 random bytes, the first one seals. Read anew on reload; whoever writes it rotates them."),
    FIELD_INTEGER(
        struct tickets_config, count, "count", "2", 1, 8,
        "Tickets after a handshake of TLS 1.3, so that a client may open several connections with them."),
    FIELD_END,
};

static const struct field handshakes_fields[] = {
    FIELD_INTEGER(struct handshakes_config, concurrent, "concurrent", "10000", 0, 10000000,
                  "Most handshakes under way at a time, all workers together. 0 is no limit."),
    FIELD_INTEGER(struct handshakes_config, rate, "rate", "0", 0, 10000000,
                  "Most handshakes begun in a second, all workers together. 0 is no limit."),
    FIELD_INTEGER(
        struct handshakes_config, queue, "queue", "1000", 0, 1000000,
        "Connections of one worker that may wait for their handshake to begin; further ones are closed."),
    FIELD_END,
};

static const char *const unknown_choices[] = {"default", "refuse", NULL};

const struct field tls_server_fields[] = {
    FIELD_LIST(
        struct server_config, rules.certificates, "certificates", REQUIRED, &field_item_text,
        FIELD_ONE_OR_MORE | FIELD_UNIQUE | FIELD_NOT_EMPTY,
        "Of the top level's `certificates`. Each serves the names that are in it; the first serves all other clients. Several for one name, with different kinds of keys, are offered together."),
    TLS_SETTINGS_FIELDS(struct server_config, rules.settings),
    FIELD_STRUCT(struct server_config, rules.client, "client", "{}", client_fields,
                 "Certificates of clients (mTLS)."),
    FIELD_MAP(
        struct server_config, names, "names", "{}", &name_item, offsetof(struct rules_config, name),
        "Rules of their own for server names, such as `admin.example` or `*.example`; what is not given is the wildcard's where it has an entry, else the listener's."),
    FIELD_CHOICE(
        struct server_config, unknown_name, "unknown_name", "default", unknown_choices,
        "Clients that name no server, or one that is not here, get the first certificate or are refused."),
    FIELD_LIST(struct server_config, alpn, "alpn", "[http/1.1, http/1.0]", &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE | FIELD_NOT_EMPTY,
               "Protocols offered to clients, preferred first."),
    FIELD_STRUCT(struct server_config, tickets, "session_tickets", "{}", tickets_fields,
                 "Resumption of sessions."),
    FIELD_STRUCT(struct server_config, handshakes, "handshakes", "{}", handshakes_fields,
                 "How many handshakes may be made: they are what costs most."),
    FIELD_TEXT(
        struct server_config, key_log, "key_log", OPTIONAL,
        "For debugging: a file that the secrets of all connections are written to (SSLKEYLOGFILE format). Whoever reads it reads everything."),
    FIELD_END,
};

/* What holds for a name, while it is built. */
struct rules {
    const struct tls_settings *settings;
    const struct client_config *client;
    const struct node *client_node; /* the map that `client` is in */
    const struct tls_profile *profile;
};

struct building {
    struct binder *binder;
    struct states *states;
    const struct tls_certificates *certificates;
    struct tls_server *server;
    const struct server_config *config;
    const struct node *node;
};

/* --- client certificates --- */

static void free_context(void *context)
{
    SSL_CTX_free(context);
}

static bool add_authorities(struct binder *binder, const struct node *at, SSL_CTX *context, struct text pem)
{
    const char *why;
    STACK_OF(X509) *all = pem_certificates(pem, &why);
    if (!all)
        return bind_error(binder, at, "ca", "%s", why);
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    bool fine = true;
    for (int i = 0; fine && i < sk_X509_num(all); i++)
        fine = X509_STORE_add_cert(store, sk_X509_value(all, i))
               && SSL_CTX_add_client_CA(context, sk_X509_value(all, i));
    X509_STORE_set_flags(
        store, X509_V_FLAG_PARTIAL_CHAIN); /* an intermediate authority may be the one that is trusted */
    sk_X509_pop_free(all, X509_free);
    return fine || bind_error(binder, at, "ca", "out of memory");
}

static bool add_revoked(struct binder *binder, const struct node *at, SSL_CTX *context, struct text pem)
{
    BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.size);
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    X509_CRL *crl;
    int count = 0;
    while (bio && (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL))) {
        count += X509_STORE_add_crl(store, crl);
        X509_CRL_free(crl);
    }
    BIO_free(bio);
    ERR_clear_error();
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return count > 0 || bind_error(binder, at, "crl", "there is no revocation list in PEM in it");
}

/* SHA-256: the same on all nodes that share the keys of tickets. */
static bool digest(const struct text *parts, size_t count, unsigned char to[32])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool fine = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL);
    for (size_t i = 0; fine && i < count; i++)
        fine = EVP_DigestUpdate(context, parts[i].at, parts[i].size);
    fine = fine && EVP_DigestFinal_ex(context, to, NULL);
    EVP_MD_CTX_free(context);
    return fine;
}

/* Tells the rules of one name from those of another; never 0. */
static uint64_t scope_of(struct text name)
{
    unsigned char bytes[32];
    uint64_t scope = 0;
    if (digest(&name, 1, bytes))
        memcpy(&scope, bytes, sizeof scope);
    return scope | 1;
}

/* Tickets hold what was verified: they are worth nothing where other rules hold. */
static bool set_session(struct tls_profile *profile, struct text listener, struct text ca, struct text crl)
{
    uint64_t numbers[] = {profile->scope, (uint64_t)profile->verify, (uint64_t)profile->depth, ca.size,
                          crl.size};
    const struct text parts[] = {{(const char *)numbers, sizeof numbers}, ca, crl, listener};
    return digest(parts, COUNT_OF(parts), profile->session);
}

static bool set_client(struct building *building, struct tls_profile *profile,
                       const struct client_config *config, const struct node *node)
{
    struct binder *binder = building->binder;
    const struct node *at = node_get(node, TEXT("client"));
    struct pem ca = {.owned = NULL}, crl = {.owned = NULL};
    profile->verify = config->verify >= 2 ? (enum client_verify)(config->verify - 1) : CLIENT_VERIFY_OFF;
    profile->depth = (int)config->depth;
    struct text path = bind_enter(binder, TEXT("client"));
    bool fine = !at || (pem_read(binder, at, "ca", &ca) && pem_read(binder, at, "crl", &crl));
    if (fine && profile->verify != CLIENT_VERIFY_OFF && !ca.text.size)
        fine = bind_error(binder, at ? at : node, "ca", "is needed: who vouches for clients' certificates?");
    if (fine && profile->verify == CLIENT_VERIFY_OFF && ca.text.size)
        fine =
            bind_error(binder, at, "verify", "has to be `request` or `require` for `ca` to mean something");
    if (fine && ca.text.size)
        fine = add_authorities(binder, at, profile->context, ca.text);
    if (fine && crl.text.size)
        fine = add_revoked(binder, at, profile->context, crl.text);
    if (fine && !set_session(profile, building->server->listener, ca.text, crl.text))
        fine = bind_error(binder, node, NULL, "out of memory");
    pem_release(&ca);
    pem_release(&crl);
    bind_leave(binder, path);
    return fine;
}

/* --- profiles --- */

static struct tls_profile *make_profile(struct building *building, const struct tls_settings *settings,
                                        const struct client_config *client, uint64_t scope,
                                        const struct node *node, const struct node *client_node)
{
    struct binder *binder = building->binder;
    const struct server_config *config = building->config;
    struct tls_profile *profile = ARENA_NEW(binder->arena, struct tls_profile);
    SSL_CTX *context = profile ? SSL_CTX_new(TLS_server_method()) : NULL;
    if (!context || !arena_defer(binder->arena, free_context, context)) {
        SSL_CTX_free(context);
        bind_error(binder, node, NULL, "out of memory");
        return NULL;
    }
    profile->settings = *settings;
    profile->scope = scope;
    profile->context = context;
    if (!tls_settings_apply(binder, node, settings, context)
        || !set_client(building, profile, client, client_node))
        return NULL;
    if (!config->tickets.enabled)
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, config->tickets.enabled ? (size_t)config->tickets.count : 0);
    SSL_CTX_set_timeout(context, (long)(2 * config->tickets.rotate_ms / 1000));
    tls_server_install(context, profile);
    building->server->profiles_count++;
    return profile;
}

/* --- names --- */

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
        rules->profile =
            make_profile(building, merged, rules->client, scope_of(config->name), node, rules->client_node);
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

static bool add_names(struct building *building)
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

/* --- the rest --- */

static void free_ticket_keys(void *server_)
{
    struct tls_server *server = server_;
    OPENSSL_secure_clear_free((void *)(uintptr_t)server->ticket_keys.at, server->ticket_keys.size);
}

/* Until the snapshot comes into force: a configuration that is refused changes no keys. */
static bool keep_ticket_keys(struct building *building, struct text keys)
{
    char *copy = keys.size ? OPENSSL_secure_malloc(keys.size) : NULL;
    struct tls_server *server = building->server;
    if (!keys.size)
        return true;
    if (!copy)
        return bind_error(building->binder, building->node, "session_tickets", "out of memory");
    server->ticket_keys = (struct text){memcpy(copy, keys.at, keys.size), keys.size};
    if (arena_defer(building->binder->arena, free_ticket_keys, server))
        return true;
    free_ticket_keys(server);
    return false;
}

bool tls_server_commit(const struct tls_server *server)
{
    return !server->tickets
           || tls_tickets_set(server->tickets, server->ticket_keys, server->tickets_rotate_s);
}

static bool set_tickets(struct building *building)
{
    const struct tickets_config *config = &building->config->tickets;
    struct binder *binder = building->binder;
    const struct node *at = node_get(building->node, TEXT("session_tickets"));
    struct pem file = {.owned = NULL};
    if (!config->enabled)
        return true;
    if (config->file.size
        && !pem_read_file(binder, at, "session_tickets.file", config->file, 3 * TICKET_KEY_BYTES, &file))
        return false;
    bool fine = file.text.size % TICKET_KEY_BYTES == 0 && (file.text.size > 0 || !config->file.size);
    if (!fine)
        bind_error(binder, at, "session_tickets.file",
                   "has to hold one to three keys of %d bytes, not %zu bytes", TICKET_KEY_BYTES,
                   file.text.size);
    fine = fine && keep_ticket_keys(building, file.text);
    pem_release(&file);
    struct tls_server *server = building->server;
    server->tickets_rotate_s = MAX_OF(config->rotate_ms / 1000, 1);
    server->tickets = fine ? states_claim(building->states, binder->arena, "tls-tickets", server->listener, 0,
                                          tls_tickets_create, tls_tickets_destroy, NULL)
                           : NULL;
    if (fine && !(server->tickets && (!tls_tickets_are_new(server->tickets) || tls_server_commit(server))))
        fine = bind_error(binder, building->node, "session_tickets", "no memory or randomness for keys");
    return fine;
}

static void close_log(void *server)
{
    (void)close(((struct tls_server *)server)->key_log);
}

static bool set_key_log(struct building *building)
{
    struct text path = building->config->key_log;
    struct binder *binder = building->binder;
    const struct node *at = node_get(building->node, TEXT("key_log"));
    building->server->key_log = -1;
    if (!path.size)
        return true;
    report_warning(binder->report, at->place, binder->path,
                   "key_log: whoever reads this file reads all traffic; for debugging only");
    building->server->key_log = open(path.at, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (building->server->key_log < 0)
        return bind_error(binder, at, "key_log", "cannot be opened: %s", strerrordesc_np(errno));
    return arena_defer(binder->arena, close_log, building->server);
}

static void release_names(void *server)
{
    table_release(&((struct tls_server *)server)->names);
}

static bool build(struct building *building)
{
    const struct server_config *config = building->config;
    struct tls_server *server = building->server;
    server->protocols = config->alpn.items;
    server->protocols_count = config->alpn.count;
    server->refuse_unknown = config->unknown_name == 1;
    server->handshakes_max = (uint32_t)config->handshakes.concurrent;
    server->handshakes_rate = (uint32_t)config->handshakes.rate;
    server->handshakes_queue = (uint32_t)config->handshakes.queue;
    server->fallback.profile = make_profile(building, &config->rules.settings, &config->rules.client, 0,
                                            building->node, building->node);
    return server->fallback.profile && add_listed(building) && add_names(building) && set_tickets(building)
           && set_key_log(building);
}

struct tls_server *tls_server_build(struct binder *binder, struct states *states,
                                    const struct tls_certificates *certificates, struct text listener,
                                    const struct node *node)
{
    struct server_config config = {0};
    struct tls_server *server = ARENA_NEW(binder->arena, struct tls_server);
    if (!server || !tls_library_ready() || !arena_defer(binder->arena, release_names, server)) {
        bind_error(binder, node, NULL, "out of memory");
        return NULL;
    }
    server->listener = listener;
    table_init(&server->names);
    struct building building = {binder, states, certificates, server, &config, node};
    struct text path = bind_enter(binder, TEXT("tls"));
    bool fine = field_bind(binder, tls_server_fields, node, &config) && build(&building);
    bind_leave(binder, path);
    return fine ? server : NULL;
}
