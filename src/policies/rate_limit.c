/* rate-limit: how many requests a key may make in a window of time, counted exactly across the workers of this node. */
#include "base/hash.h"
#include "base/states.h"
#include "base/time.h"
#include "policies/places.h"
#include "policies/rate_limit_table.h"
#include "proxy/exchange.h"
#include "proxy/worker.h"

enum { LIMITS_MAX = 8 };

enum rate_headers { RATE_HEADERS_DRAFT, RATE_HEADERS_LEGACY, RATE_HEADERS_BOTH, RATE_HEADERS_NONE };

struct rate_limit {
    struct text name;
    int64_t limit, window_ms, burst;
    int algorithm;
    const struct expr *key;
    /* Prepared: */
    struct rate_table *table;
    struct rate_rule rule;
    bool same_key;       /* as the limit before it */
    struct text quoted;  /* its name as a structured string */
    struct text written; /* its limit in decimal */
};

struct rate_limit_config {
    struct rate_limit one;
    struct array limits; /* struct rate_limit; after prepare `one`, if that is used */
    const struct expr *cost;
    int64_t status, keys;
    int headers;
    bool dry_run;
    int64_t cost_constant; /* -1: it must be evaluated */
    struct text policy;    /* RateLimit-Policy */
};

/* What the answer's header fields say. */
struct rate_limit_state {
    bool asked;
    struct {
        uint32_t remaining, reset_s;
    } limits[LIMITS_MAX];
};

static const char *const algorithm_choices[] = {"fixed-window", "sliding-window", "token-bucket", NULL};
static const char *const headers_choices[] = {"draft", "legacy", "both", "none", NULL};

#define NAME_ABOUT                                                                                           \
    "Name of the limit in header fields: `default`, or its window where there are several limits."
#define BURST_ABOUT                                                                                          \
    "For `token-bucket`: how many requests may come at once after a quiet time; the limit unless given."

static const struct field limit_fields[] = {
    FIELD_TEXT(struct rate_limit, name, "name", OPTIONAL, NAME_ABOUT),
    FIELD_INTEGER(struct rate_limit, limit, "limit", REQUIRED, 1, RATE_LIMIT_MAX,
                  "Requests allowed in each window."),
    FIELD_DURATION(struct rate_limit, window_ms, "window", REQUIRED, 1, RATE_WINDOW_MS_MAX,
                   "Length of the window."),
    FIELD_CHOICE(struct rate_limit, algorithm, "algorithm", OPTIONAL, algorithm_choices,
                 "How requests are counted; as beside `limits` unless given."),
    FIELD_INTEGER(struct rate_limit, burst, "burst", OPTIONAL, 1, RATE_LIMIT_MAX, BURST_ABOUT),
    FIELD_EXPRESSION(struct rate_limit, key, "key", OPTIONAL, EXPR_STRING,
                     "What to count by; as beside `limits` unless given."),
    FIELD_END,
};
static const struct field limit_item = ITEM_STRUCT(struct rate_limit, limit_fields);

static const struct field rate_limit_fields[] = {
    FIELD_INTEGER(struct rate_limit_config, one.limit, "limit", OPTIONAL, 1, RATE_LIMIT_MAX,
                  "Requests allowed in each window. Either this or `limits`."),
    FIELD_DURATION(struct rate_limit_config, one.window_ms, "window", "1m", 1, RATE_WINDOW_MS_MAX,
                   "Length of the window. Fixed and sliding windows are aligned to the clock."),
    FIELD_EXPRESSION(struct rate_limit_config, one.key, "key", "source.address", EXPR_STRING,
                     "What to count by."),
    FIELD_CHOICE(struct rate_limit_config, one.algorithm, "algorithm", "fixed-window", algorithm_choices,
                 "How requests are counted."),
    FIELD_INTEGER(struct rate_limit_config, one.burst, "burst", OPTIONAL, 1, RATE_LIMIT_MAX, BURST_ABOUT),
    FIELD_TEXT(struct rate_limit_config, one.name, "name", OPTIONAL, NAME_ABOUT),
    {FIELD_MEMBER_(struct rate_limit_config, limits, "limits", FIELD_KIND_LIST, OPTIONAL,
                   "Several limits: a request passes if it is within each of them."),
     .item = &limit_item, .max = LIMITS_MAX},
    FIELD_EXPRESSION(struct rate_limit_config, cost, "cost", "1", EXPR_INT, "How much a request counts."),
    FIELD_INTEGER(struct rate_limit_config, status, "status", "429", 400, 599, "Status of a refusal."),
    FIELD_CHOICE(
        struct rate_limit_config, headers, "headers", "draft", headers_choices,
        "Fields that tell the client about its limits: `RateLimit` and `RateLimit-Policy` (`draft`), "
        "`X-RateLimit-*` (`legacy`), both or none. A refusal always has `Retry-After`."),
    FIELD_BOOL(
        struct rate_limit_config, dry_run, "dry_run", "false",
        "Counts and refuses nothing; `vars.rate_limit_exceeded` has the name of a limit that was exceeded."),
    FIELD_INTEGER(struct rate_limit_config, keys, "keys", "100000", 1, 100000000,
                  "How many keys each limit can tell apart at a time, in 64 bytes each."),
    FIELD_END,
};

/* --- preparing --- */

static bool is_plain(struct text name)
{
    for (size_t i = 0; i < name.size; i++)
        if (name.at[i] < 0x20 || name.at[i] > 0x7e || name.at[i] == '"' || name.at[i] == '\\')
            return false;
    return true;
}

static const struct node *place_of(const struct node *node, const char *field)
{
    const struct node *value = node_get(node, text_of(field));
    return value ? value : node;
}

static bool is_taken(const struct rate_limit_config *config, const struct rate_limit *limit)
{
    for (const struct rate_limit *other = config->limits.items; other < limit; other++)
        if (text_equal(other->name, limit->name))
            return true;
    return false;
}

static bool give_name(struct prepare *prepare, const struct rate_limit_config *config,
                      struct rate_limit *limit, const struct node *node)
{
    struct arena *arena = prepare->binder->arena;
    char window[64];
    bool is_given = limit->name.size > 0;
    if (!is_plain(limit->name))
        return bind_error(prepare->binder, place_of(node, "name"), "name",
                          "must be printable ASCII without quotes and backslashes");
    if (!is_given && config->limits.count == 1)
        limit->name = TEXT("default");
    else if (!is_given)
        limit->name = arena_copy(arena, time_format_duration(limit->window_ms * NS_PER_MS, window));
    if (is_taken(config, limit) && !is_given)
        limit->name = arena_format(arena, "%.*s-%zu", TEXT_ARGS(limit->name),
                                   (size_t)(limit - (const struct rate_limit *)config->limits.items) + 1);
    if (is_taken(config, limit))
        return bind_error(prepare->binder, place_of(node, "name"), "name", "two limits are named `%.*s`",
                          TEXT_ARGS(limit->name));
    limit->quoted = arena_format(arena, "\"%.*s\"", TEXT_ARGS(limit->name));
    limit->written = arena_format(arena, "%lld", (long long)limit->limit);
    return true;
}

struct table_shape {
    enum rate_algorithm algorithm;
    int64_t window_ms, keys;
};

static void *make_table(void *shape_)
{
    const struct table_shape *shape = shape_;
    return rate_table_new(shape->algorithm, shape->window_ms, (size_t)shape->keys);
}

static void free_table(void *table)
{
    rate_table_free(table);
}

/* Counters are found again by what they count: the limit itself may change, and the order of limits too. */
static struct rate_table *claim_table(struct prepare *prepare, const struct rate_limit *limit, int64_t keys)
{
    struct arena *arena = prepare->binder->arena;
    struct text name =
        arena_format(arena, "%.*s %.*s", TEXT_ARGS(prepare->instance), TEXT_ARGS(expr_source(limit->key)));
    struct table_shape shape = {(enum rate_algorithm)limit->algorithm, limit->window_ms, keys};
    uint64_t hash =
        hash_mix(hash_mix(hash_mix((uint64_t)shape.window_ms) + (uint64_t)keys) + shape.algorithm);
    return states_claim(prepare->states, arena, "rate-limit", name, hash, make_table, free_table, &shape);
}

static bool prepare_limit(struct prepare *prepare, const struct rate_limit_config *config,
                          struct rate_limit *limit, const struct node *node)
{
    limit->table = claim_table(prepare, limit, config->keys);
    if (!limit->table)
        return bind_error(prepare->binder, node, NULL, "out of memory");
    if (limit->burst && limit->algorithm != RATE_TOKEN_BUCKET)
        return bind_error(prepare->binder, place_of(node, "burst"), "burst",
                          "only `algorithm: token-bucket` has a burst");
    if (!rate_rule_init(&limit->rule, limit->table, limit->limit, limit->burst))
        return bind_error(prepare->binder, place_of(node, limit->burst ? "burst" : "limit"),
                          limit->burst ? "burst" : "limit",
                          "a token bucket gives at most one token per nanosecond and refills within 4 years");
    const struct rate_limit *before = limit == config->limits.items ? NULL : limit - 1;
    limit->same_key = before && text_equal(expr_source(before->key), expr_source(limit->key));
    for (const struct rate_limit *other = config->limits.items; other < limit; other++)
        if (other->table == limit->table)
            return bind_error(prepare->binder, node, NULL,
                              "two limits with the same window, algorithm and key: the lower one is enough");
    return give_name(prepare, config, limit, node);
}

/* In how many seconds `limit->rule.limit` requests may come: of a token bucket the time in which it fills. */
static int64_t seconds_of(const struct rate_limit *limit)
{
    unsigned __int128 window = (unsigned __int128)limit->window_ms * limit->rule.limit;
    uint64_t per_second = (uint64_t)limit->limit * MS_PER_SECOND;
    return (int64_t)((window + per_second - 1) / per_second);
}

/* draft-ietf-httpapi-ratelimit-headers-10 section 3: "default";q=100;w=60 */
static struct text write_policy(struct prepare *prepare, const struct rate_limit_config *config)
{
    struct text all = {NULL, 0};
    const struct rate_limit *limits = config->limits.items;
    for (size_t i = 0; i < config->limits.count; i++)
        all = arena_format(prepare->binder->arena, "%.*s%s%.*s;q=%lld;w=%lld", TEXT_ARGS(all), i ? ", " : "",
                           TEXT_ARGS(limits[i].quoted), (long long)limits[i].rule.limit,
                           (long long)seconds_of(&limits[i]));
    return all;
}

static bool choose_limits(struct prepare *prepare, struct rate_limit_config *config)
{
    if (config->one.limit && config->limits.count)
        return bind_error(prepare->binder, field_place(prepare, "limits"), "limits",
                          "either `limit` or `limits`, not both");
    if (!config->one.limit && config->limits.count == 0)
        return bind_error(prepare->binder, prepare->node, NULL,
                          "`limit` is missing: how many requests does a window allow?");
    if (config->one.limit) {
        config->limits = (struct array){&config->one, 1};
        return true;
    }
    struct rate_limit *limits = config->limits.items;
    for (size_t i = 0; i < config->limits.count; i++) {
        if (!limits[i].key)
            limits[i].key = config->one.key;
        if (!node_get(item_place(prepare, "limits", i), TEXT("algorithm")))
            limits[i].algorithm = config->one.algorithm;
        if (!limits[i].burst && limits[i].algorithm == RATE_TOKEN_BUCKET)
            limits[i].burst = config->one.burst;
    }
    return true;
}

static bool rate_limit_prepare(struct prepare *prepare, void *config_)
{
    struct rate_limit_config *config = config_;
    if (!choose_limits(prepare, config))
        return false;
    const struct value *cost = expr_constant(config->cost);
    config->cost_constant = cost ? cost->integer : -1;
    if (cost && cost->integer < 0)
        return bind_error(prepare->binder, field_place(prepare, "cost"), "cost", "must not be negative");
    struct rate_limit *limits = config->limits.items;
    for (size_t i = 0; i < config->limits.count; i++)
        if (!prepare_limit(prepare, config, &limits[i],
                           limits == &config->one ? prepare->node : item_place(prepare, "limits", i)))
            return false;
    config->policy = write_policy(prepare, config);
    return true;
}

/* --- asking --- */

static void tell_evictions(struct exchange *ex, struct rate_table *table)
{
    uint64_t evictions = atomic_load_explicit(&table->evictions, memory_order_relaxed);
    uint64_t told = atomic_load_explicit(&table->evictions_told, memory_order_relaxed);
    if (evictions == told || !worker_may_log(ex->worker))
        return;
    if (atomic_compare_exchange_strong(&table->evictions_told, &told, evictions))
        log_warn("rate limit table is full: counts of keys were lost; raise `keys`",
                 LOG_INT("lost", evictions - told), LOG_INT("keys", table->keys));
}

static bool find_entries(struct exchange *ex, const struct rate_limit_config *config,
                         const struct rate_clock *clock, struct rate_entry *entries[LIMITS_MAX])
{
    const struct rate_limit *limits = config->limits.items;
    uint64_t hash = 0;
    for (size_t i = 0; i < config->limits.count; i++) {
        struct text key;
        if (!limits[i].same_key) {
            if (!exchange_eval_text(ex, limits[i].key, &key))
                return false;
            hash = hash_text(key);
        }
        entries[i] = rate_table_find(limits[i].table, hash, clock);
        if (!entries[i])
            return exchange_fault(ex, "out of memory for the table of keys"), false;
        if (UNLIKELY(atomic_load_explicit(&limits[i].table->evictions, memory_order_relaxed)))
            tell_evictions(ex, limits[i].table);
    }
    return true;
}

/* All or nothing: looks first, and gives back what was taken if another worker was faster at a later limit. The index of the limit that
 * refuses, -1: none. */
static int take_all(const struct rate_limit_config *config, struct rate_entry *entries[LIMITS_MAX],
                    const struct rate_clock *clock, uint64_t cost, struct rate_answer answers[LIMITS_MAX])
{
    const struct rate_limit *limits = config->limits.items;
    int count = (int)config->limits.count, refused = -1;
    if (count == 1)
        return rate_take(limits->table, entries[0], &limits->rule, clock, cost, true, answers) ? -1 : 0;
    for (int i = 0; i < count; i++)
        if (!rate_take(limits[i].table, entries[i], &limits[i].rule, clock, cost, false, &answers[i])
            && refused < 0)
            refused = i;
    for (int i = 0; refused < 0 && i < count; i++)
        if (!rate_take(limits[i].table, entries[i], &limits[i].rule, clock, cost, true, &answers[i]))
            for (refused = i; i-- > 0;)
                rate_refund(limits[i].table, entries[i], &limits[i].rule, cost, &answers[i]);
    return refused;
}

static uint32_t seconds_up(int64_t ns)
{
    return (uint32_t)((ns + NS_PER_SECOND - 1) / NS_PER_SECOND);
}

static void remember(struct rate_limit_state *state, const struct rate_limit_config *config,
                     const struct rate_answer *answers)
{
    state->asked = true;
    for (size_t i = 0; i < config->limits.count; i++) {
        state->limits[i].remaining = (uint32_t)answers[i].remaining;
        state->limits[i].reset_s = seconds_up(answers[i].reset_ns);
    }
}

static enum verdict refuse(struct exchange *ex, const struct rate_limit_config *config,
                           const struct rate_answer *answers)
{
    int64_t retry_ns = 1;
    for (size_t i = 0; i < config->limits.count; i++)
        if (!answers[i].allowed && answers[i].retry_ns > retry_ns)
            retry_ns = answers[i].retry_ns;
    struct text seconds = arena_format(&ex->arena, "%u", seconds_up(retry_ns));
    enum verdict verdict =
        exchange_respond_problem(ex, (unsigned)config->status, TEXT("Too many requests; try again later."));
    (void)fields_add_known(&ex->response.fields, NAME_RETRY_AFTER,
                           seconds); /* without memory the arena says so */
    return verdict;
}

static bool read_cost(struct exchange *ex, const struct rate_limit_config *config, uint64_t *ret_cost)
{
    struct value value;
    if (!exchange_eval(ex, config->cost, &value))
        return false;
    if (value.kind != VALUE_INT || value.integer < 0)
        return exchange_fault(ex, "the cost is negative"), false;
    *ret_cost = (uint64_t)value.integer;
    return true;
}

static enum verdict rate_limit_request(struct exchange *ex, const void *config_, void *state_)
{
    const struct rate_limit_config *config = config_;
    struct rate_limit_state *state = state_;
    struct rate_entry *entries[LIMITS_MAX];
    struct rate_answer answers[LIMITS_MAX];
    struct rate_clock clock = {.wall_ns = exchange_wall_ns(ex), .monotonic_ns = ex->loop->now_ns};
    uint64_t cost = (uint64_t)config->cost_constant;
    if (config->cost_constant < 0 && !read_cost(ex, config, &cost))
        return VERDICT_FAULT;
    if (!find_entries(ex, config, &clock, entries))
        return VERDICT_FAULT;
    int refused = take_all(config, entries, &clock, cost, answers);
    if (config->headers != RATE_HEADERS_NONE)
        remember(state, config, answers);
    if (LIKELY(refused < 0))
        return VERDICT_NEXT;
    if (!config->dry_run)
        return refuse(ex, config, answers);
    const struct rate_limit *limits = config->limits.items;
    if (!exchange_set_var(ex, TEXT("rate_limit_exceeded"), value_string(limits[refused].name)))
        return exchange_fault(ex, "too many variables");
    return VERDICT_NEXT;
}

/* --- telling the client --- */

static char *write_text(char *to, struct text text)
{
    if (text.size)
        memcpy(to, text.at, text.size);
    return to + text.size;
}

static char *write_number(char *to, uint32_t number)
{
    char digits[10];
    size_t count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count)
        *to++ = digits[--count];
    return to;
}

/* "default";r=99;t=42 */
static struct text write_state(struct exchange *ex, const struct rate_limit_config *config,
                               const struct rate_limit_state *state)
{
    const struct rate_limit *limits = config->limits.items;
    size_t room = 0;
    for (size_t i = 0; i < config->limits.count; i++)
        room += limits[i].quoted.size + sizeof ", ;r=4294967295;t=4294967295";
    char *bytes = arena_alloc(&ex->arena, room), *to = bytes;
    if (!bytes)
        return (struct text){NULL, 0};
    for (size_t i = 0; i < config->limits.count; i++) {
        to = write_text(to, i ? TEXT(", ") : TEXT(""));
        to = write_text(to, limits[i].quoted);
        to = write_number(write_text(to, TEXT(";r=")), state->limits[i].remaining);
        to = write_number(write_text(to, TEXT(";t=")), state->limits[i].reset_s);
    }
    return (struct text){bytes, (size_t)(to - bytes)};
}

/* Of a name that http/names.def does not have: fields_add() would only look for it. Without memory the arena says so. */
static void add_field(struct exchange *ex, struct text name, struct text value)
{
    struct field_line *line = fields_reserve(&ex->response.fields);
    if (!line || !value.at)
        return;
    *line = (struct field_line){.name = name, .value = value, .id = NAME_OTHER};
    fields_commit(&ex->response.fields);
}

/* These fields know one limit: the one that is nearest to its end. */
static void add_legacy(struct exchange *ex, const struct rate_limit_config *config,
                       const struct rate_limit_state *state)
{
    const struct rate_limit *limits = config->limits.items;
    size_t nearest = 0;
    for (size_t i = 1; i < config->limits.count; i++)
        if (state->limits[i].remaining < state->limits[nearest].remaining)
            nearest = i;
    char *bytes = arena_alloc(&ex->arena, 32);
    if (!bytes)
        return;
    char *end = write_number(bytes, state->limits[nearest].remaining);
    char *reset_end = write_number(bytes + 16, state->limits[nearest].reset_s);
    struct text remaining = {bytes, (size_t)(end - bytes)},
                reset = {bytes + 16, (size_t)(reset_end - bytes - 16)};
    (void)fields_set(&ex->response.fields, TEXT("X-RateLimit-Limit"),
                     limits[nearest].written); /* the arena says so */
    (void)fields_set(&ex->response.fields, TEXT("X-RateLimit-Remaining"), remaining);
    (void)fields_set(&ex->response.fields, TEXT("X-RateLimit-Reset"), reset);
}

static enum verdict rate_limit_response(struct exchange *ex, const void *config_, void *state_)
{
    const struct rate_limit_config *config = config_;
    const struct rate_limit_state *state = state_;
    if (!state->asked || config->dry_run)
        return VERDICT_NEXT;
    if (config->headers == RATE_HEADERS_DRAFT || config->headers == RATE_HEADERS_BOTH) {
        add_field(ex, TEXT("RateLimit-Policy"), config->policy);
        add_field(ex, TEXT("RateLimit"), write_state(ex, config, state));
    }
    if (config->headers == RATE_HEADERS_LEGACY || config->headers == RATE_HEADERS_BOTH)
        add_legacy(ex, config, state);
    return VERDICT_NEXT;
}

static const char rate_limit_manual[] =
    "Limits how many requests a key may make in a window of time. Use it to protect services from floods and to give each caller a\n"
    "fair share. Counts are exact on one node, however many workers it has; each node counts for itself.\n"
    "\n"
    "```yaml\n"
    "listeners:\n"
    "  main: { address: \"127.0.0.1:8080\" }\n"
    "services:\n"
    "  orders: { endpoints: [\"http://127.0.0.1:7001\"] }\n"
    "routes:\n"
    "  orders:\n"
    "    match: { path: \"/orders/*\" }\n"
    "    service: orders\n"
    "    policies:\n"
    "      - key-auth: {}\n"
    "      - rate-limit:\n"
    "          key: consumer.name\n"
    "          limits:\n"
    "            - { limit: 10, window: 1s, algorithm: token-bucket, burst: 20 }\n"
    "            - { limit: 1000, window: 1h, algorithm: sliding-window }\n"
    "  catalogue:\n"
    "    match: { path: \"/catalogue/*\" }\n"
    "    service: orders\n"
    "    policies:\n"
    "      - rate-limit: { limit: 100, window: 1m }\n"
    "consumers:\n"
    "  alice: { keys: [\"${env:ALICE_KEY:-a-key-to-try-it-out-with}\"] }\n"
    "```\n"
    "\n"
    "- `fixed-window` counts from the start of each minute, hour and so on. It is the simplest to explain; around the border of two windows\n"
    "  twice the limit may come in a short time.\n"
    "- `sliding-window` adds the share of the window before that is less than one window ago. That border is gone, at the same cost.\n"
    "- `token-bucket` lets requests through at an even rate, `limit` in each `window`, and up to `burst` at once after a quiet time.\n"
    "\n"
    "With `limits`, a request must be within each; one that is refused is charged to none of them. A refusal has status 429 and\n"
    "`Retry-After`. A `cost` greater than the limit is always refused; a cost of 0 only asks. Requests whose key is an empty text (such as\n"
    "`consumer.name` when nobody was identified) share one count. A key that cannot be evaluated is a failure of the policy: `on_error` decides.\n"
    "\n"
    "Counters survive reloads, also when only `limit`, `burst` or `cost` change; another `window`, `algorithm`, `key` or `keys` starts anew.\n"
    "\n"
    "`RateLimit-Policy` and `RateLimit` follow draft-ietf-httpapi-ratelimit-headers-10: `q` is the limit and `w` the window in seconds (of a\n"
    "token bucket the burst, and the time in which it fills), `r` what is left, `t` the seconds until all is there again. `X-RateLimit-*` tell of\n"
    "the limit that is nearest to its end, with the same seconds in `X-RateLimit-Reset`.\n"
    "\n"
    "**Security.** Count by what a client cannot choose: `consumer.name` or `source.address` (with the listener's `trusted_proxies`), not by a\n"
    "header field that it may fill at will. A client with many addresses can fill the table; when more than `keys` keys are live, the one\n"
    "nearest to its end is forgotten and starts anew, which is logged. Let authentication come first where you count by consumer, and add a\n"
    "limit by address in the stage `edge` (`stage: edge`) where guessing of credentials must be slowed.\n";

const struct policy policy_rate_limit = {
    .name = "rate-limit",
    .summary = "Limits how many requests a key may make in a window of time.",
    .manual = rate_limit_manual,
    .stage = STAGE_QUOTA,
    .status = POLICY_STABLE,
    .fields = rate_limit_fields,
    .config_size = sizeof(struct rate_limit_config),
    .state_size = sizeof(struct rate_limit_state),
    .prepare = rate_limit_prepare,
    .on_request = rate_limit_request,
    .on_response = rate_limit_response,
};
