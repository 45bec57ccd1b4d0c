/* The fields of a route's `match`. */
#include "base/check.h"
#include "proxy/route_config.h"
#include "proxy/time_window.h"

static const struct field test_fields[] = {
    {FIELD_MEMBER_(struct test_config, equals, "equals", FIELD_KIND_TEXT, OPTIONAL,
                   "The value is exactly this."),
     .flags = FIELD_SHORTHAND},
    FIELD_LIST(struct test_config, one_of, "one_of", OPTIONAL, &field_item_text, FIELD_NOT_EMPTY,
               "The value is one of these."),
    FIELD_TEXT(struct test_config, prefix, "prefix", OPTIONAL, "The value begins with this."),
    FIELD_TEXT(struct test_config, regex, "regex", OPTIONAL,
               "The regular expression is found in the value; anchor it with `^` and `$` for the whole."),
    FIELD_BOOL(struct test_config, present, "present", "false", "It is there, whatever its value."),
    FIELD_BOOL(struct test_config, absent, "absent", "false", "It is not there."),
    FIELD_BOOL(struct test_config, negated, "not", "false", "The opposite of the test."),
    FIELD_END,
};
static const struct field test_item = ITEM_STRUCT(struct test_config, test_fields);

static bool bind_days(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    (void)field;
    if (node->kind == NODE_SCALAR && time_window_parse_days(node->text, at))
        return true;
    return bind_error(binder, node, NULL, "wants a day such as `mon`, or a span of days such as `mon-fri`");
}
static const struct field days_item = ITEM_CUSTOM(
    uint8_t, bind_days,
    "{\"type\":\"string\",\"pattern\":\"^(sun|mon|tue|wed|thu|fri|sat)(-(sun|mon|tue|wed|thu|fri|sat))?$\"}");

static const struct field time_fields[] = {
    FIELD_LIST(struct time_config, days, "days", "[]", &days_item, FIELD_ONE_OR_MORE,
               "Days of the week, `mon` to `sun`, or spans such as `mon-fri`; every day unless given."),
    FIELD_TEXT(struct time_config, from, "from", OPTIONAL,
               "Beginning, such as `08:00`; with a later one than `to` it goes on over midnight."),
    FIELD_TEXT(struct time_config, to, "to", OPTIONAL, "End, such as `18:00`, which is not part of it."),
    FIELD_TEXT(struct time_config, since, "since", OPTIONAL,
               "First day, such as `2026-12-24`, or moment, `2026-12-24T18:00`."),
    FIELD_TEXT(struct time_config, until, "until", OPTIONAL,
               "Last day, which is part of it, or moment, which is not."),
    FIELD_TEXT(struct time_config, zone, "zone", "UTC",
               "Time zone of all of these: a name such as `Europe/Paris`, or an offset such as `+02:00`."),
    FIELD_END,
};
static const struct field time_item = ITEM_STRUCT(struct time_config, time_fields);

/* `10.0.0.1`, `10.0.0.0/8`, `10.0.0.1:8443`, `:8443`. */
static bool parse_local(struct text t, struct local_range *to)
{
    struct address address;
    struct text port = text_slice(t, 1, t.size);
    uint64_t number;
    *to = (struct local_range){.port = 0};
    if (text_starts_with(t, TEXT(":")) && text_to_uint64(port, &number) && number > 0 && number < 65536) {
        to->port = (uint16_t)number;
        return true; /* of every address */
    }
    if (cidr_parse(t, &to->network))
        return true;
    if (text_starts_with(t, TEXT("unix:")) || !address_parse(t, &address) || address_port(&address) == 0)
        return false;
    to->network = (struct cidr){address_ip(&address), 128};
    to->port = address_port(&address);
    return true;
}

static bool bind_local(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    (void)field;
    if (node->kind == NODE_SCALAR && parse_local(node->text, at))
        return true;
    return bind_error(
        binder, node, NULL,
        "wants an address or a network, with or without port, such as `10.0.0.1`, `10.0.0.0/8`, "
        "`10.0.0.1:8443` or `:8443`");
}
static const struct field local_item = ITEM_CUSTOM(struct local_range, bind_local, "{\"type\":[\"string\"]}");

static const char *const scheme_choices[] = {"http", "https", NULL};
static const struct field scheme_item = ITEM_CHOICE(scheme_choices);

/* Beside `match` and its `not`: one description for both. */
#define TEST_FIELDS(type, tests)                                                                             \
    FIELD_LIST(type, tests.methods, "methods", "[]", &field_item_text, FIELD_ONE_OR_MORE | FIELD_UNIQUE,     \
               "The method is one of these."),                                                               \
        FIELD_LIST(type, tests.listeners, "listeners", "[]", &field_item_text,                               \
                   FIELD_ONE_OR_MORE | FIELD_UNIQUE, "It came in by one of these listeners."),               \
        FIELD_LIST(type, tests.schemes, "schemes", "[]", &scheme_item, FIELD_ONE_OR_MORE,                    \
                   "The scheme of the connection is one of these."),                                         \
        FIELD_LIST(type, tests.sni, "sni", "[]", &field_item_text, FIELD_ONE_OR_MORE | FIELD_UNIQUE,         \
                   "The server name that the client asked for in its TLS handshake is one of these, as in "  \
                   "`match.hosts`."),                                                                        \
        FIELD_LIST(type, tests.client, "client", "[]", &field_item_cidr, FIELD_ONE_OR_MORE,                  \
                   "The client's address, seen through trusted proxies, is in one of these networks."),      \
        FIELD_LIST(type, tests.local, "local", "[]", &local_item, FIELD_ONE_OR_MORE,                         \
                   "The address that the client connected to is one of these: `10.0.0.1`, `10.0.0.0/8`, "    \
                   "`10.0.0.1:8443` or `:8443`."),                                                           \
        FIELD_MAP(type, tests.headers, "headers", "{}", &test_item, offsetof(struct test_config, name),      \
                  "Tests on header fields, by name."),                                                       \
        FIELD_MAP(type, tests.query, "query", "{}", &test_item, offsetof(struct test_config, name),          \
                  "Tests on query parameters, by name."),                                                    \
        FIELD_MAP(type, tests.cookies, "cookies", "{}", &test_item, offsetof(struct test_config, name),      \
                  "Tests on cookies, by name."),                                                             \
        FIELD_LIST(type, tests.content_types, "content_types", "[]", &field_item_text,                       \
                   FIELD_ONE_OR_MORE | FIELD_UNIQUE,                                                         \
                   "The body's media type, without its parameters, is one of these: `application/json`, "    \
                   "`text/*`, `application/*+json`."),                                                       \
        FIELD_LIST(type, tests.time, "time", "[]", &time_item, FIELD_ONE_OR_MORE,                            \
                   "The time is within one of these windows."),                                              \
        FIELD_EXPRESSION(type, tests.expression, "expression", OPTIONAL, EXPR_BOOL,                          \
                         "The expression is true; one that fails does not fit.")

static const struct field match_not_fields[] = {
    FIELD_LIST(struct match_not_config, hosts, "hosts", "[]", &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE, "The host is one of these, as in `match.hosts`."),
    FIELD_LIST(struct match_not_config, paths, "paths", "[]", &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE, "The path is one of these, in any form of `match.path`."),
    TEST_FIELDS(struct match_not_config, tests),
    FIELD_END,
};

const struct field match_fields[] = {
    FIELD_LIST(struct match_config, hosts, "hosts", "[]", &field_item_text, FIELD_ONE_OR_MORE | FIELD_UNIQUE,
               "`shop.example`, or `*.shop.example` for all names below it; any host unless given."),
    FIELD_TEXT(struct match_config, path, "path", OPTIONAL,
               "`/a` exactly; `/a/*` it and all below; `/a*` all that begins with it; `/orders/{id}` or "
               "`/orders/{id:int}` a template; `~ ^/v[0-9]+/` a regular expression. Any path unless given."),
    TEST_FIELDS(struct match_config, tests),
    FIELD_STRUCT(struct match_config, excluded, "not", "{}", match_not_fields,
                 "What must not be: each entry is a test of its own, and none of them may hold."),
    FIELD_END,
};
