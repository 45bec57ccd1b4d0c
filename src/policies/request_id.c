/* request-id: every request has an id, in the gateway's log, at the service and at the client. */
#include <stdatomic.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/states.h"
#include "base/time.h"
#include "policies/header_lines.h"
#include "policies/peer.h"
#include "policies/places.h"
#include "proxy/exchange.h"

enum generator { GENERATOR_UUID7, GENERATOR_UUID4, GENERATOR_ULID, GENERATOR_COUNTER };
static const char *const generators[] = {"uuid7", "uuid4", "ulid", "counter", NULL};

enum trust { TRUST_NEVER, TRUST_PROXIES, TRUST_ALWAYS };
static const char *const trusts[] = {"never", "proxies", "always", NULL};

enum { ID_BYTES_MAX = 128 };

struct request_id_config {
    struct text header;
    int generator, trust;
    bool echo;
    struct id_counter *counter; /* with GENERATOR_COUNTER */
};

static const struct field request_id_fields[] = {
    FIELD_TEXT(struct request_id_config, header, "header", "X-Request-ID",
               "Header field that carries the id to the service and back to the client."),
    FIELD_CHOICE(
        struct request_id_config, generator, "generator", "uuid7", generators,
        "How ids are made: `uuid7` begins with the time, `uuid4` is random, `ulid` is like `uuid7` but shorter, "
        "`counter` is a prefix of the process and a number that grows."),
    FIELD_CHOICE(
        struct request_id_config, trust, "trust", "never", trusts,
        "Whose id is kept when a request brings one: nobody's, that of the listener's `trusted_proxies`, or everybody's."),
    FIELD_BOOL(struct request_id_config, echo, "echo", "true", "Puts the id on the response too."),
    FIELD_END,
};

/* --- counters --- */

/* One number for each worker, so that they share no cache line; outlives snapshots. */
struct id_cell {
    _Alignas(64) _Atomic uint64_t next;
};

struct id_counter {
    char prefix[12];
    unsigned workers;
    struct id_cell cells[];
};

static void *make_counter(void *workers_)
{
    const unsigned *workers = workers_;
    uint8_t bytes[sizeof((struct id_counter *)0)->prefix / 2];
    size_t size = sizeof(struct id_counter) + *workers * sizeof(struct id_cell);
    struct id_counter *counter = memory_aligned(64, size);
    if (!counter)
        return NULL;
    memset(counter, 0, size);
    random_secret(bytes, sizeof bytes);
    text_hex(bytes, sizeof bytes, counter->prefix);
    counter->workers = *workers;
    return counter;
}

static struct text make_number(struct exchange *ex, struct id_counter *counter)
{
    unsigned worker = exchange_worker(ex) % counter->workers;
    uint64_t number = atomic_fetch_add_explicit(&counter->cells[worker].next, 1, memory_order_relaxed) + 1;
    return arena_format(&ex->arena, "%.*s-%u-%llu", (int)sizeof counter->prefix, counter->prefix, worker,
                        (unsigned long long)number);
}

static bool request_id_prepare(struct prepare *prepare, void *config_)
{
    struct request_id_config *config = config_;
    unsigned workers = MAX_OF(prepare->workers, 1u);
    if (!header_check_name(prepare, field_place(prepare, "header"), "header", config->header))
        return false;
    if (config->generator != GENERATOR_COUNTER)
        return true;
    config->counter = states_claim(prepare->states, prepare->binder->arena, "request-id", prepare->instance,
                                   workers, make_counter, memory_free, &workers);
    return config->counter || bind_error(prepare->binder, prepare->node, NULL, "out of memory");
}

/* --- ids --- */

/* RFC 9562 section 5.4. */
static struct text make_uuid4(struct exchange *ex)
{
    uint64_t words[2] = {random_uint64(), random_uint64()};
    uint8_t bytes[16];
    char hex[32];
    memcpy(bytes, words, sizeof bytes);
    bytes[6] = (uint8_t)(0x40 | (bytes[6] & 0x0f));
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f));
    text_hex(bytes, sizeof bytes, hex);
    return arena_format(&ex->arena, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* 48 bits of milliseconds and 80 random ones in Crockford's base 32 (github.com/ulid/spec). */
static struct text make_ulid(struct exchange *ex)
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t ms = (uint64_t)(exchange_wall_ns(ex) / NS_PER_MS);
    uint64_t high = ms << 16 | (random_uint64() & 0xffff), low = random_uint64();
    char *text = arena_alloc(&ex->arena, 26);
    if (!text)
        return TEXT("");
    for (int i = 25; i >= 0; i--) {
        text[i] = digits[low & 31];
        low = low >> 5 | high << 59;
        high >>= 5;
    }
    return (struct text){text, 26};
}

static struct text make_id(struct exchange *ex, const struct request_id_config *config)
{
    switch ((enum generator)config->generator) {
    case GENERATOR_UUID4: return make_uuid4(ex);
    case GENERATOR_ULID: return make_ulid(ex);
    case GENERATOR_COUNTER: return make_number(ex, config->counter);
    case GENERATOR_UUID7: break;
    }
    ex->request_id = (struct text){NULL, 0};
    return exchange_request_id(ex);
}

static bool is_id(struct text id)
{
    for (size_t i = 0; i < id.size; i++)
        if (!char_is_alpha(id.at[i]) && !char_is_digit(id.at[i]) && id.at[i] != '.' && id.at[i] != '_'
            && id.at[i] != '-')
            return false;
    return id.size > 0 && id.size <= ID_BYTES_MAX;
}

/* The id that the request brought, if it is one and came once; else .at NULL. */
static struct text incoming_id(const struct exchange *ex, struct text header)
{
    struct text id = {NULL, 0};
    FIELDS_EACH (line, &ex->request.fields) {
        if (!text_equal_nocase(line->name, header))
            continue;
        if (id.at || !is_id(line->value))
            return (struct text){NULL, 0};
        id = line->value;
    }
    return id;
}

/* --- the policy --- */

static enum verdict request_id_request(struct exchange *ex, const void *config_, void *state)
{
    (void)state;
    const struct request_id_config *config = config_;
    bool trusted = config->trust == TRUST_ALWAYS || (config->trust == TRUST_PROXIES && peer_is_trusted(ex));
    struct text id = trusted ? incoming_id(ex, config->header) : (struct text){NULL, 0};
    ex->request_id = id.at ? id : make_id(ex, config);
    (void)fields_set(&ex->request.fields, config->header,
                     ex->request_id); /* without memory the arena says so */
    return VERDICT_NEXT;
}

static enum verdict request_id_response(struct exchange *ex, const void *config_, void *state)
{
    (void)state;
    const struct request_id_config *config = config_;
    if (config->echo)
        (void)fields_set(&ex->response.fields, config->header, exchange_request_id(ex)); /* likewise */
    return VERDICT_NEXT;
}

static const char request_id_manual[] =
    "Gives each request an id and carries it along: to the service, back to the client, into the access log (`request_id`), into problem\n"
    "documents and into expressions (`request.id`). With it, one call can be followed through all logs. Put it first, for all routes.\n"
    "\n"
    "```yaml\n"
    "listeners:\n"
    "  main: { address: \"127.0.0.1:8080\", trusted_proxies: [\"10.0.0.0/8\"] }\n"
    "services:\n"
    "  orders: { endpoints: [\"http://127.0.0.1:7001\"] }\n"
    "routes:\n"
    "  orders: { match: { path: \"/orders/*\" }, service: orders }\n"
    "policies:\n"
    "  - request-id: { trust: proxies } # a balancer in 10.0.0.0/8 may have made one already\n"
    "```\n"
    "\n"
    "Generators:\n"
    "\n"
    "- `uuid7`: `018f3b5e-7c1a-7d3e-9b0a-2f6c1d4e8a90` (RFC 9562), ids of later requests sort after those of earlier ones.\n"
    "- `uuid4`: random.\n"
    "- `ulid`: `01HXSNWZ0TFMZ9P0HFCGET3T4G`, sorts like `uuid7` and is shorter.\n"
    "- `counter`: `9f2c41d07a3e-0-42`: twelve digits drawn when the process starts, the worker and a number that grows by one. A reload\n"
    "  does not start it again.\n"
    "\n"
    "An id that is trusted is kept if it came in one field and has 1 to 128 letters, digits, dots, underscores or dashes; otherwise, and when\n"
    "it is not trusted, a new one takes its place. The service's own field of that name does not reach the client: with `echo` the\n"
    "client gets the id of the request.\n"
    "\n"
    "**Security.** With `trust: never` the policy takes nothing from the client. With `trust: always` anyone can choose an id, also one that\n"
    "was used before, so do not take it for unique; `proxies` leaves that to the listener's `trusted_proxies`. An id is no secret and\n"
    "can be guessed: do not use it as a token.\n";

const struct policy policy_request_id = {
    .name = "request-id",
    .summary = "Gives each request an id for logs, the service and the client.",
    .manual = request_id_manual,
    .stage = STAGE_EDGE,
    .status = POLICY_STABLE,
    .fields = request_id_fields,
    .config_size = sizeof(struct request_id_config),
    .prepare = request_id_prepare,
    .on_request = request_id_request,
    .on_response = request_id_response,
};
