/* How long expressions take: one line for each, nanoseconds per evaluation with the exchange's arena reset each time, and calls of the
 * heap per evaluation (0 but for the first block of the arena). Context as the gateway has it: attributes by a switch, headers by a
 * lazy map that compares names. */
#include <stdio.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/time.h"
#include "expr/expr.h"

enum { METHOD, PATH, HEADERS, CONSUMER, CLAIMS, SOURCE, BODY, LONG };
enum { LONG_BYTES = 8192 };

static const struct expr_attribute attributes[] = {
    {"request.method", EXPR_STRING, EXPR_DYN, METHOD, "method"},
    {"request.path", EXPR_STRING, EXPR_DYN, PATH, "path"},
    {"request.headers", EXPR_MAP, EXPR_STRING, HEADERS, "headers"},
    {"consumer.name", EXPR_STRING, EXPR_DYN, CONSUMER, "consumer"},
    {"auth.claims", EXPR_MAP, EXPR_DYN, CLAIMS, "claims"},
    {"source.ip", EXPR_STRING, EXPR_DYN, SOURCE, "address"},
    {"body", EXPR_STRING, EXPR_DYN, BODY, "a small JSON document"},
    {"text8k", EXPR_STRING, EXPR_DYN, LONG, "8 KiB of words"},
};

static const struct {
    struct text name, value;
} fields[] = {
    {TEXT_INIT("host"), TEXT_INIT("shop.example")},
    {TEXT_INIT("user-agent"), TEXT_INIT("curl/8.1")},
    {TEXT_INIT("accept"), TEXT_INIT("*/*")},
    {TEXT_INIT("authorization"), TEXT_INIT("Bearer x")},
    {TEXT_INIT("x-request-id"), TEXT_INIT("0123456789")},
    {TEXT_INIT("x-tenant"), TEXT_INIT("acme")},
};

static bool get_field(const struct value_map *map, struct value key, struct arena *arena,
                      struct value *ret_value)
{
    (void)map, (void)arena;
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (key.kind == VALUE_STRING && text_equal_nocase(fields[i].name, key.text)) {
            *ret_value = value_string(fields[i].value);
            return true;
        }
    }
    return false;
}

static bool next_field(const struct value_map *map, size_t *cursor, struct arena *arena,
                       struct value *ret_key, struct value *ret_value)
{
    (void)map, (void)arena;
    if (*cursor == COUNT_OF(fields))
        return false;
    *ret_key = value_string(fields[*cursor].name);
    *ret_value = value_string(fields[(*cursor)++].value);
    return true;
}

static size_t count_fields(const struct value_map *map)
{
    (void)map;
    return COUNT_OF(fields);
}

static const struct value_map headers = {get_field, next_field, count_fields};
static struct value claims;
static char words[LONG_BYTES];
static const char body[] =
    "{\"id\":\"8f14e45f\",\"customer\":{\"name\":\"Alice\",\"vip\":true},\"items\":["
    "{\"sku\":\"a-1\",\"price\":12.5,\"count\":2},{\"sku\":\"b-2\",\"price\":3.75,\"count\":10}]}";

static bool look_up(void *context, uint16_t id, struct arena *arena, struct value *ret_value)
{
    (void)context, (void)arena;
    switch (id) {
    case METHOD: *ret_value = value_string(TEXT("GET")); return true;
    case PATH: *ret_value = value_string(TEXT("/api/v1/orders/42")); return true;
    case HEADERS: *ret_value = value_of_map(&headers); return true;
    case CONSUMER: *ret_value = value_string(TEXT("alice")); return true;
    case CLAIMS: *ret_value = claims; return true;
    case SOURCE: *ret_value = value_string(TEXT("10.1.2.3")); return true;
    case BODY: *ret_value = value_string(text_of(body)); return true;
    case LONG: *ret_value = value_string((struct text){words, LONG_BYTES}); return true;
    default: return false;
    }
}

static const char *const sources[] = {
    "request.method == \"GET\" && request.path.startsWith(\"/api/\")",
    "consumer.name + \":\" + request.headers[\"x-tenant\"]",
    "request.method in [\"GET\", \"HEAD\", \"OPTIONS\"]",
    "request.path.matches(\"^/api/v[0-9]+/orders/\")",
    "request.headers[\"absent\"] == \"x\" || consumer.name == \"alice\"",
    "\"admin\" in auth.claims.roles",
    "auth.claims.roles.exists(r, r.startsWith(\"b\"))",
    "cidr(\"10.0.0.0/8\").containsIP(source.ip)",
    "now.getHours(\"Europe/Paris\") < 24",
    "regex.extract(request.path, \"/v([0-9]+)/\").orValue(\"\")",
    "request.path.matches(\"^/\" + consumer.name)",
    "text8k.matches(\"[a-z]+@[a-z]+\\\\.org\")",
    "now.getHours(auth.claims.zone) < 24",
    "json.decode(body).items[1].price > 3.0",
    "json.encode(auth.claims)",
    "hash.sha256(consumer.name)",
    "request.path.split(\"/\")[2] + \"-\" + string(size(consumer.name))",
};

/* The best of several batches: the others shared the core with something else. */
static double measure(const struct expr *expr, struct arena *arena, uint64_t *calls)
{
    enum { BATCHES = 30, ROUNDS = 20000 };
    struct expr_run run = {.lookup = look_up, .arena = arena, .now_ns = time_wall_ns()};
    struct value value;
    struct expr_error error;
    bool good = expr_eval(expr, &run, &value, &error); /* what a thread makes once */
    if (!good)
        printf("%.*s: %s\n", TEXT_ARGS(expr_source(expr)), error.said);
    CHECK(good);
    arena_reset(arena);
    uint64_t before = memory_calls();
    double best = 1e9;
    for (int batch = 0; batch < BATCHES; batch++) {
        int64_t start = time_monotonic_ns();
        for (int i = 0; i < ROUNDS; i++) {
            CHECK(expr_eval(expr, &run, &value, NULL));
            arena_reset(arena);
        }
        double ns = (double)(time_monotonic_ns() - start) / ROUNDS;
        best = MIN_OF(best, ns);
    }
    *calls = memory_calls() - before;
    return best;
}

int main(void)
{
    struct arena constants, arena;
    struct expr_environment environment = {attributes, COUNT_OF(attributes), false};
    arena_init(&constants, 0, 0);
    arena_init(&arena, 0, 0);
    for (size_t i = 0; i < LONG_BYTES; i++)
        words[i] = i % 9 == 8 ? ' ' : (char)('a' + i % 7);
    CHECK(value_from_json(TEXT("{\"sub\":\"alice\",\"zone\":\"Asia/Tokyo\",\"roles\":[\"admin\",\"buyer\"]}"),
                          &constants, &claims, NULL));
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        struct expr_error error;
        const struct expr *expr =
            expr_compile(&constants, text_of(sources[i]), &environment, EXPR_DYN, &error);
        if (!expr)
            printf("%s: %u: %s\n", sources[i], error.column, error.said);
        CHECK(expr);
        uint64_t calls;
        double ns = measure(expr, &arena, &calls);
        printf("%8.1f ns  %llu allocations  %s\n", ns, (unsigned long long)calls, sources[i]);
    }
    arena_release(&arena);
    arena_release(&constants);
    return 0;
}
