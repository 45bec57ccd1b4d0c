/* Knows when an answer is late. */
#include "upstream/hedge.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/states.h"

enum { SAMPLES_MIN = 50, SAMPLES_MAX = 8192, COMPUTE_MS = 100 };

/* --- configuration --- */

/* "p95", "p99.9". */
static bool parse_percentile(struct text t, double *ret_share)
{
    uint64_t whole, part = 0;
    if (t.size < 2 || t.at[0] != 'p')
        return false;
    struct text decimals = text_slice(t, 1, t.size), digits = text_split(&decimals, '.');
    if (!text_to_uint64(digits, &whole) || whole > 99 || (decimals.at && decimals.size != 1)
        || (decimals.at && !text_to_uint64(decimals, &part)))
        return false;
    *ret_share = ((double)whole + (double)part / 10) / 100;
    return *ret_share > 0;
}

static bool bind_after(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    static const struct field duration = {
        .name = "after", .kind = FIELD_KIND_DURATION, .size = sizeof(int64_t), .min = 1, .max = 3600000};
    struct hedge_after *after = at;
    (void)field;
    if (node->kind == NODE_SCALAR && parse_percentile(node->text, &after->percentile))
        return true;
    if (node->kind == NODE_SCALAR && node->text.size && node->text.at[0] == 'p')
        return bind_error(binder, node, NULL, "wants a time such as `100ms`, or a percentile such as `p95`");
    return field_bind_value(binder, &duration, node, &after->ms);
}

const struct field hedge_fields[] = {
    FIELD_CUSTOM(
        struct hedge_config, after, "after", REQUIRED, bind_after, "{\"type\":\"string\"}",
        "How long to wait for the answer: a time, or a percentile of the latest answers' times such as `p95`."),
    FIELD_DURATION(struct hedge_config, min_ms, "min", "10ms", 1, 3600000,
                   "With a percentile: never earlier than this."),
    FIELD_END,
};

static void *new_times(void *argument)
{
    (void)argument;
    return memory_zero(sizeof(struct hedge_times));
}

bool hedge_rules_build(struct binder *binder, struct states *states, struct text service,
                       const struct hedge_config *config, const struct node *node, struct hedge_rules *rules)
{
    *rules = (struct hedge_rules){
        .after_ms = config->after.ms, .percentile = config->after.percentile, .min_ms = config->min_ms};
    if (rules->after_ms == 0 && rules->percentile <= 0)
        return true;
    rules->times =
        states_claim(states, binder->arena, "hedge-times", service, 0, new_times, memory_free, NULL);
    return rules->times || bind_error(binder, node, NULL, "out of memory");
}

/* --- times --- */

/* The two bits below the highest one tell the quarter. */
static unsigned bucket_of(uint64_t us)
{
    unsigned octave = us ? 63 - (unsigned)__builtin_clzll(us) : 0;
    unsigned quarter = octave >= 2 ? (unsigned)(us >> (octave - 2)) & 3 : 0;
    return MIN_OF(octave * 4 + quarter, (unsigned)HEDGE_BUCKETS - 1);
}

/* The upper end of a bucket. */
static uint64_t bucket_end_us(unsigned bucket)
{
    unsigned octave = bucket / 4, quarter = bucket % 4;
    return octave >= 2 ? (UINT64_C(5) + quarter) << (octave - 2) : UINT64_C(2) << octave;
}

/* Who counts the one too many halves all; what others count meanwhile may be lost or stay whole, which does not matter. */
static void fade(struct hedge_times *times)
{
    uint32_t total = 0;
    for (unsigned i = 0; i < HEDGE_BUCKETS; i++) {
        uint32_t half = atomic_load_explicit(&times->buckets[i], memory_order_relaxed) / 2;
        atomic_store_explicit(&times->buckets[i], half, memory_order_relaxed);
        total += half;
    }
    atomic_store_explicit(&times->count, total, memory_order_relaxed);
}

void hedge_answered(const struct hedge_rules *rules, int64_t took_ns)
{
    struct hedge_times *times = rules->times;
    if (!times || rules->percentile <= 0)
        return;
    unsigned bucket = bucket_of((uint64_t)MAX_OF(took_ns, 0) / 1000);
    atomic_fetch_add_explicit(&times->buckets[bucket], 1, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&times->count, 1, memory_order_relaxed) == SAMPLES_MAX)
        fade(times);
}

static int64_t compute_ms(const struct hedge_times *times, double share)
{
    uint64_t total = 0, seen = 0;
    for (unsigned i = 0; i < HEDGE_BUCKETS; i++)
        total += atomic_load_explicit(&times->buckets[i], memory_order_relaxed);
    if (total < SAMPLES_MIN)
        return -1;
    for (unsigned i = 0; i < HEDGE_BUCKETS; i++) {
        seen += atomic_load_explicit(&times->buckets[i], memory_order_relaxed);
        if ((double)seen >= share * (double)total)
            return (int64_t)((bucket_end_us(i) + 999) / 1000);
    }
    return -1;
}

int64_t hedge_after_ms(const struct hedge_rules *rules, int64_t now_ms)
{
    struct hedge_times *times = rules->times;
    if (!times || rules->after_ms > 0)
        return times ? rules->after_ms : -1;
    int64_t computed_ms = atomic_load_explicit(&times->computed_ms, memory_order_relaxed);
    if (atomic_load_explicit(&times->known_ms, memory_order_relaxed) <= 0
        || now_ms - computed_ms >= COMPUTE_MS) {
        atomic_store_explicit(&times->known_ms, compute_ms(times, rules->percentile), memory_order_relaxed);
        atomic_store_explicit(&times->computed_ms, now_ms, memory_order_relaxed);
    }
    int64_t known_ms = atomic_load_explicit(&times->known_ms, memory_order_relaxed);
    return known_ms <= 0 ? -1 : MAX_OF(known_ms, rules->min_ms);
}
