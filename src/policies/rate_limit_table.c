/* Rate limit counters as a table of atomics. */
#include "policies/rate_limit_table.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/time.h"

static_assert(sizeof(struct rate_entry) == 32, "two entries to a cache line");

enum { LINE = 64, UNITS_PER_NS = 16, LAG_MS_MAX = 2000 };

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static bool swap(_Atomic uint64_t *word, uint64_t *seen, uint64_t next)
{
    return atomic_compare_exchange_weak_explicit(word, seen, next, memory_order_relaxed,
                                                 memory_order_relaxed);
}

struct rate_table *rate_table_new(enum rate_algorithm algorithm, int64_t window_ms, size_t keys)
{
    CHECK(window_ms > 0 && window_ms <= RATE_WINDOW_MS_MAX && keys > 0);
    struct rate_table *table = memory_zero(sizeof *table);
    if (!table)
        return NULL;
    table->algorithm = algorithm;
    table->window_ms = (uint64_t)window_ms;
    table->keys = keys;
    table->capacity = 2 * keys;
    table->ahead_max = (int32_t)(1 + LAG_MS_MAX / window_ms);
    return table;
}

void rate_table_free(struct rate_table *table)
{
    if (!table)
        return;
    memory_free(atomic_load_explicit(&table->block, memory_order_relaxed));
    memory_free(table);
}

bool rate_rule_init(struct rate_rule *rule, const struct rate_table *table, int64_t limit, int64_t burst)
{
    CHECK(limit > 0 && limit <= RATE_LIMIT_MAX && burst >= 0 && burst <= RATE_LIMIT_MAX);
    *rule = (struct rate_rule){.limit = (uint64_t)limit};
    if (table->algorithm != RATE_TOKEN_BUCKET)
        return true;
    uint64_t window = table->window_ms * NS_PER_MS * UNITS_PER_NS;
    rule->token = (window + rule->limit - 1) / rule->limit; /* rounded up: never more than the limit */
    rule->limit = (uint64_t)(burst ? burst : limit);
    return rule->token >= UNITS_PER_NS && !__builtin_mul_overflow(rule->token, rule->limit, &rule->full)
           && rule->full < 1ull << 61;
}

/* --- windows --- */

struct window {
    uint32_t index;
    uint64_t elapsed_ms;
};

static uint64_t pack(uint32_t index, uint64_t count)
{
    return (uint64_t)index << 32 | count;
}

static uint32_t index_of(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static uint64_t count_in(uint64_t word, uint32_t index)
{
    return index_of(word) == index ? (uint32_t)word : 0;
}

static struct window window_at(const struct rate_table *table, const struct rate_clock *clock)
{
    uint64_t now_ms = (uint64_t)clock->wall_ns / NS_PER_MS, index = now_ms / table->window_ms;
    return (struct window){(uint32_t)index, now_ms - index * table->window_ms};
}

/* Windows that a word's is ahead of `index`; what is too far ahead comes from a clock that was set back, and is long over. */
static int32_t ahead(const struct rate_table *table, uint64_t word, uint32_t index)
{
    int32_t windows = (int32_t)(index_of(word) - index);
    return windows > table->ahead_max ? INT32_MIN : windows;
}

/* Another thread's clock may have reached the next window already. */
static void window_join(const struct rate_table *table, uint64_t word, struct window *window)
{
    if (UNLIKELY(ahead(table, word, window->index) > 0))
        *window = (struct window){index_of(word), 0};
}

static int64_t window_left_ns(const struct rate_table *table, const struct window *window)
{
    return (int64_t)(table->window_ms - window->elapsed_ms) * NS_PER_MS;
}

static bool take_fixed(const struct rate_table *table, struct rate_entry *entry, const struct rate_rule *rule,
                       const struct rate_clock *clock, uint64_t cost, bool charge, struct rate_answer *answer)
{
    struct window window = window_at(table, clock);
    uint64_t seen = load(&entry->words[0]), count, left;
    do {
        window_join(table, seen, &window);
        count = count_in(seen, window.index);
        left = count < rule->limit ? rule->limit - count : 0;
        answer->allowed = cost <= left;
    } while (answer->allowed && charge && !swap(&entry->words[0], &seen, pack(window.index, count + cost)));
    answer->window = window.index;
    answer->remaining = answer->allowed ? left - cost : left;
    answer->reset_ns = answer->retry_ns = window_left_ns(table, &window);
    return answer->allowed;
}

/* What the window before still counts: its share that a window ending now would cover, rounded up. */
static uint64_t carried(const struct rate_table *table, const struct window *window, uint64_t before)
{
    if (before == 0)
        return 0;
    uint64_t share = ((table->window_ms - window->elapsed_ms) << 32) / table->window_ms;
    return (before * share + UINT32_MAX) >> 32;
}

/* When `cost` would fit, if nothing else came: as the counts of this window and the one before fade. */
static int64_t sliding_retry_ns(const struct rate_table *table, const struct window *window, uint64_t limit,
                                uint64_t cost, uint64_t before, uint64_t count)
{
    double room = cost < limit ? (double)(limit - cost) : 0, left_ns = (double)window_left_ns(table, window);
    double window_ns = (double)table->window_ms * NS_PER_MS;
    if ((double)count > room)
        return (int64_t)(left_ns + window_ns * (1 - room / (double)count));
    double share = before ? (room - (double)count) / (double)before : 1;
    return (int64_t)(left_ns - window_ns * (share < 1 ? share : 1)) + NS_PER_MS;
}

static bool take_sliding(const struct rate_table *table, struct rate_entry *entry,
                         const struct rate_rule *rule, const struct rate_clock *clock, uint64_t cost,
                         bool charge, struct rate_answer *answer)
{
    struct window window = window_at(table, clock);
    window_join(table, load(&entry->words[0]), &window);
    window_join(table, load(&entry->words[1]), &window);
    uint64_t seen = load(&entry->words[window.index & 1]), before, count, used, left;
    _Atomic uint64_t *word;
    do {
        window_join(table, seen, &window);
        word = &entry->words[window.index & 1];
        before = count_in(load(&entry->words[~window.index & 1]), window.index - 1);
        count = count_in(seen, window.index);
        used = count + carried(table, &window, before);
        left = used < rule->limit ? rule->limit - used : 0;
        answer->allowed = cost <= left;
    } while (answer->allowed && charge && !swap(word, &seen, pack(window.index, count + cost)));
    answer->window = window.index;
    answer->remaining = answer->allowed ? left - cost : left;
    answer->reset_ns = window_left_ns(table, &window);
    if (!answer->allowed)
        answer->retry_ns = sliding_retry_ns(table, &window, rule->limit, cost, before, count);
    return answer->allowed;
}

/* --- token bucket --- */

/* The generic cell rate algorithm (ITU-T I.371): the word is the time at which the bucket would be full again. */
static bool take_tokens(struct rate_entry *entry, const struct rate_rule *rule,
                        const struct rate_clock *clock, uint64_t cost, bool charge,
                        struct rate_answer *answer)
{
    uint64_t now = (uint64_t)clock->monotonic_ns * UNITS_PER_NS, seen = load(&entry->words[0]), missing,
             price, after;
    bool possible = cost <= rule->limit;
    price = (possible ? cost : rule->limit) * rule->token;
    do {
        missing = seen > now ? seen - now : 0;
        after = missing + price;
        answer->allowed = possible && after <= rule->full;
    } while (answer->allowed && charge && !swap(&entry->words[0], &seen, now + after));
    uint64_t wait = possible && after > rule->full ? after - rule->full : rule->full;
    if (answer->allowed)
        missing = after;
    answer->remaining = missing < rule->full ? (rule->full - missing) / rule->token : 0;
    answer->reset_ns = (int64_t)((missing + UNITS_PER_NS - 1) / UNITS_PER_NS);
    answer->retry_ns = (int64_t)((wait + UNITS_PER_NS - 1) / UNITS_PER_NS);
    return answer->allowed;
}

bool rate_take(const struct rate_table *table, struct rate_entry *entry, const struct rate_rule *rule,
               const struct rate_clock *clock, uint64_t cost, bool charge, struct rate_answer *ret_answer)
{
    switch (table->algorithm) {
    case RATE_FIXED_WINDOW: return take_fixed(table, entry, rule, clock, cost, charge, ret_answer);
    case RATE_SLIDING_WINDOW: return take_sliding(table, entry, rule, clock, cost, charge, ret_answer);
    case RATE_TOKEN_BUCKET: return take_tokens(entry, rule, clock, cost, charge, ret_answer);
    }
    UNREACHABLE();
}

void rate_refund(const struct rate_table *table, struct rate_entry *entry, const struct rate_rule *rule,
                 uint64_t cost, const struct rate_answer *answer)
{
    if (table->algorithm == RATE_TOKEN_BUCKET) {
        atomic_fetch_sub_explicit(&entry->words[0], cost * rule->token, memory_order_relaxed);
        return;
    }
    _Atomic uint64_t *word = &entry->words[table->algorithm == RATE_SLIDING_WINDOW ? answer->window & 1 : 0];
    uint64_t seen = load(word), count;
    do {
        count = count_in(seen, answer->window);
        if (count < cost)
            return; /* that window is over */
    } while (!swap(word, &seen, pack(answer->window, count - cost)));
}

/* --- entries --- */

/* How long an entry still matters: 0 when its window is over. */
static int64_t life(const struct rate_table *table, const struct rate_entry *entry,
                    const struct rate_clock *clock)
{
    uint64_t words[] = {load(&entry->words[0]), load(&entry->words[1])};
    if (table->algorithm == RATE_TOKEN_BUCKET) {
        int64_t missing = (int64_t)(words[0] - (uint64_t)clock->monotonic_ns * UNITS_PER_NS);
        return missing > 0 ? missing : 0;
    }
    int64_t longest = 0,
            past = table->algorithm == RATE_SLIDING_WINDOW; /* windows that count after their end */
    uint32_t index = window_at(table, clock).index;
    for (int i = 0; i < 2; i++) {
        int64_t windows = (int64_t)ahead(table, words[i], index) + past + 1;
        int64_t rank = windows > 0 ? windows << 32 | (uint32_t)words[i] : 0;
        longest = rank > longest ? rank : longest;
    }
    return longest;
}

/* The first key brings the memory: most tables of a big configuration never see one. */
static struct rate_entry *make_entries(struct rate_table *table)
{
    void *block = memory_zero((table->capacity + RATE_PROBES) * sizeof(struct rate_entry) + LINE),
         *other = NULL;
    if (!block)
        return NULL;
    if (atomic_compare_exchange_strong(&table->block, &other, block))
        other = block;
    else
        memory_free(block);
    struct rate_entry *entries =
        (struct rate_entry *)(((uintptr_t)other + LINE - 1) & ~(uintptr_t)(LINE - 1));
    atomic_store_explicit(&table->entries, entries, memory_order_release);
    return entries;
}

struct victim {
    struct rate_entry *entry;
    uint64_t tag; /* whose it was when it was judged */
    int64_t life;
};

/* Among `count` entries in use the one to be used again: any that is over, else that which will be over first. */
static struct victim choose_victim(const struct rate_table *table, struct rate_entry *entries, size_t count,
                                   const struct rate_clock *clock)
{
    struct victim chosen = {NULL, 0, INT64_MAX};
    for (size_t i = 0; i < count && chosen.life > 0; i++) {
        struct victim one = {&entries[i], atomic_load_explicit(&entries[i].tag, memory_order_acquire), 0};
        one.life = life(table, &entries[i], clock);
        if (one.life < chosen.life)
            chosen = one;
    }
    return chosen;
}

/* Makes an entry the key's, if it still has the tag `was`. */
static bool claim(struct rate_entry *entry, uint64_t *was, uint64_t tag)
{
    return atomic_compare_exchange_strong_explicit(&entry->tag, was, tag, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

/* Tries to make the key's entry; NULL: another thread changed something, look again. `count` entries from `entries` on are in use and
 * are not the key's; behind them one is free if count is below RATE_PROBES. */
static struct rate_entry *add(struct rate_table *table, struct rate_entry *entries, size_t count,
                              uint64_t tag, const struct rate_clock *clock)
{
    struct victim victim = {NULL, 0, INT64_MAX};
    bool free_behind = count < RATE_PROBES;
    if (!free_behind || load(&table->used) >= table->keys)
        victim = choose_victim(table, entries, count, clock);
    if (free_behind && victim.life > 0) {
        uint64_t none = 0;
        if (!claim(&entries[count], &none, tag))
            return none == tag ? &entries[count] : NULL;
        atomic_fetch_add_explicit(&table->used, 1, memory_order_relaxed);
        return &entries[count];
    }
    if (!claim(victim.entry, &victim.tag, tag))
        return victim.tag == tag ? victim.entry : NULL;
    if (victim.life > 0) {
        atomic_store_explicit(&victim.entry->words[0], 0, memory_order_relaxed);
        atomic_store_explicit(&victim.entry->words[1], 0, memory_order_relaxed);
        atomic_fetch_add_explicit(&table->evictions, 1, memory_order_relaxed);
    }
    return victim.entry;
}

struct rate_entry *rate_table_find(struct rate_table *table, uint64_t hash, const struct rate_clock *clock)
{
    struct rate_entry *entries = atomic_load_explicit(&table->entries, memory_order_acquire);
    if (UNLIKELY(!entries) && !(entries = make_entries(table)))
        return NULL;
    uint64_t tag = hash ? hash : 1;
    entries += (size_t)((unsigned __int128)hash_mix(tag) * table->capacity >> 64);
    for (;;) { /* goes round only when another thread has just taken the entry for another key */
        size_t count = 0;
        for (uint64_t seen; count < RATE_PROBES && (seen = load(&entries[count].tag)) != 0; count++)
            if (LIKELY(seen == tag))
                return &entries[count];
        struct rate_entry *entry = add(table, entries, count, tag, clock);
        if (entry)
            return entry;
    }
}
