/* Builds the server side of TLS from a listener's configuration. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/check.h"
#include "base/states.h"
#include "tls/library.h"
#include "tls/pem.h"
#include "tls/server_private.h"
#include "tls/tickets.h"

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

/* --- keys of tickets --- */

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
    server->fallback.profile = tls_server_make_profile(
        building, &config->rules.settings, &config->rules.client, 0, building->node, building->node);
    return server->fallback.profile && tls_server_add_names(building) && set_tickets(building)
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
