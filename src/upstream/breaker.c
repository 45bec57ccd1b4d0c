/* The breaker's three states in one word. From the top: state (2 bits), who tries now (10), successes so far (10), a time in
 * milliseconds of the loops' clock (42 bits: 139 years). The time is: closed: since when; open: until when; half-open: when those who try
 * are given up. */
#include "upstream/breaker.h"

#include <stdio.h>

#include "base/check.h"
#include "base/random.h"

enum { TIME_BITS = 42, COUNT_BITS = 10, COUNT_MAX = (1 << COUNT_BITS) - 1, GROWTH_MAX = 30 };

struct reading {
    enum breaker_state state;
    uint32_t trying, good;
    int64_t time_ms;
};

static struct reading unpack(uint64_t word)
{
    return (struct reading){
        .state = (enum breaker_state)(word >> (TIME_BITS + 2 * COUNT_BITS)),
        .trying = (uint32_t)(word >> (TIME_BITS + COUNT_BITS)) & COUNT_MAX,
        .good = (uint32_t)(word >> TIME_BITS) & COUNT_MAX,
        .time_ms = (int64_t)(word & ((UINT64_C(1) << TIME_BITS) - 1)),
    };
}

static uint64_t pack(struct reading at)
{
    return (uint64_t)at.state << (TIME_BITS + 2 * COUNT_BITS)
           | (uint64_t)at.trying << (TIME_BITS + COUNT_BITS) | (uint64_t)at.good << TIME_BITS
           | ((uint64_t)at.time_ms & ((UINT64_C(1) << TIME_BITS) - 1));
}

static bool change(struct breaker *breaker, uint64_t *before, struct reading after)
{
    return atomic_compare_exchange_weak(&breaker->word, before, pack(after));
}

/* --- passing --- */

bool breaker_would_pass(const struct breaker *breaker, const struct breaker_rules *rules, int64_t now_ms)
{
    struct reading at = unpack(atomic_load_explicit(&breaker->word, memory_order_relaxed));
    return at.state == BREAKER_CLOSED || now_ms >= at.time_ms
           || (at.state == BREAKER_HALF_OPEN && at.trying < rules->probes);
}

static bool refuse(struct breaker *breaker)
{
    atomic_fetch_add_explicit(&breaker->refused, 1, memory_order_relaxed);
    return false;
}

bool breaker_pass(struct breaker *breaker, const struct breaker_rules *rules, int64_t now_ms,
                  struct breaker_pass *ret_pass)
{
    uint64_t word = atomic_load(&breaker->word);
    for (;;) {
        struct reading at = unpack(word);
        struct reading next = {BREAKER_HALF_OPEN, 1, at.good, now_ms + rules->open_ms};
        if (at.state == BREAKER_CLOSED) {
            *ret_pass = (struct breaker_pass){.held = true};
            return true;
        }
        if (now_ms < at.time_ms) {
            if (at.state == BREAKER_OPEN || at.trying >= rules->probes)
                return refuse(breaker);
            next.trying = at.trying + 1;
            next.time_ms = at.time_ms;
        }
        if (change(breaker, &word, next)) {
            *ret_pass = (struct breaker_pass){next.time_ms, true};
            return true;
        }
    }
}

/* --- opening --- */

static int64_t lengthened(int64_t ms, double jitter)
{
    return ms + (int64_t)random_below((uint64_t)((double)ms * jitter) + 1);
}

/* Twice as long with each opening in a row: a breaker that stayed closed as long as it had been open begins anew. */
static int64_t open_time(const struct breaker *breaker, const struct breaker_rules *rules, struct reading at,
                         int64_t retry_after_ms, int64_t now_ms, uint32_t *ret_row)
{
    bool held = at.state == BREAKER_CLOSED && now_ms - at.time_ms >= atomic_load(&breaker->opened_for_ms);
    uint32_t row = held ? 0 : atomic_load(&breaker->row), doublings = MIN_OF(row, (uint32_t)GROWTH_MAX);
    int64_t ms = rules->open_ms;
    for (uint32_t i = 0; i < doublings && ms < rules->open_max_ms; i++)
        ms *= 2;
    ms = MAX_OF(MIN_OF(ms, rules->open_max_ms), rules->open_ms);
    if (rules->retry_after && retry_after_ms > ms)
        ms = MAX_OF(ms, MIN_OF(retry_after_ms, rules->open_max_ms));
    *ret_row = row;
    return lengthened(ms, rules->jitter);
}

/* False: somebody else changed the state meanwhile; `*word` is what it is now. */
static bool open_it(struct breaker *breaker, const struct breaker_rules *rules, uint64_t *word,
                    int64_t retry_after_ms, int64_t now_ms)
{
    uint32_t row;
    int64_t ms = open_time(breaker, rules, unpack(*word), retry_after_ms, now_ms, &row);
    if (!change(breaker, word, (struct reading){.state = BREAKER_OPEN, .time_ms = now_ms + ms}))
        return false;
    atomic_store(&breaker->row, row + 1); /* until it is over nobody else comes here */
    atomic_store(&breaker->opened_for_ms, ms);
    atomic_fetch_add_explicit(&breaker->openings, 1, memory_order_relaxed);
    return true;
}

static void note(struct breaker *breaker, enum breaker_cause cause, uint32_t bad, uint32_t total)
{
    atomic_store_explicit(&breaker->because, cause, memory_order_relaxed);
    atomic_store_explicit(&breaker->because_bad, bad, memory_order_relaxed);
    atomic_store_explicit(&breaker->because_total, total, memory_order_relaxed);
}

/* Is it too much, and by which rule? */
static bool too_much(struct breaker *breaker, const struct breaker_rules *rules, int64_t now_ms)
{
    struct outcome_sums sums;
    outcome_window_sum(&breaker->window, rules->window_ms, now_ms, &sums);
    bool enough = sums.total >= rules->requests;
    if (rules->failures && sums.failed >= rules->failures)
        note(breaker, BREAKER_BY_FAILURES, sums.failed, sums.total);
    else if (rules->ratio > 0 && enough && sums.failed >= rules->ratio * sums.total)
        note(breaker, BREAKER_BY_RATIO, sums.failed, sums.total);
    else if (rules->slow_ms && rules->slow_ratio > 0 && enough && sums.slow >= rules->slow_ratio * sums.total)
        note(breaker, BREAKER_BY_SLOWNESS, sums.slow, sums.total);
    else
        return false;
    return true;
}

/* While it is closed. */
static bool count(struct breaker *breaker, const struct breaker_rules *rules, struct outcome_sums add,
                  int64_t retry_after_ms, int64_t now_ms)
{
    uint64_t word = atomic_load(&breaker->word);
    if (unpack(word).state != BREAKER_CLOSED)
        return false; /* who passed before it opened says nothing new */
    outcome_window_add(&breaker->window, rules->window_ms, now_ms, add);
    if (!(add.failed || add.slow) || !too_much(breaker, rules, now_ms))
        return false;
    while (unpack(word).state == BREAKER_CLOSED)
        if (open_it(breaker, rules, &word, retry_after_ms, now_ms))
            return true;
    return false;
}

/* --- who tries while it is half-open --- */

static bool try_failed(struct breaker *breaker, const struct breaker_rules *rules, int64_t retry_after_ms,
                       int64_t now_ms)
{
    uint64_t word = atomic_load(&breaker->word);
    while (unpack(word).state == BREAKER_HALF_OPEN) {
        if (open_it(breaker, rules, &word, retry_after_ms, now_ms)) {
            note(breaker, BREAKER_BY_PROBE, 0, 0);
            return true;
        }
    }
    return false;
}

/* Only those of the present period have a place to give back; a success is one whenever it comes. */
static bool try_over(struct breaker *breaker, const struct breaker_rules *rules, int64_t period, bool good,
                     int64_t now_ms)
{
    uint64_t word = atomic_load(&breaker->word);
    for (;;) {
        struct reading at = unpack(word);
        if (at.state != BREAKER_HALF_OPEN)
            return false;
        if (at.time_ms == period && at.trying)
            at.trying--;
        at.good = MIN_OF(at.good + good, (uint32_t)COUNT_MAX);
        bool close = good && at.good >= rules->successes;
        if (close) {
            outcome_window_clear(&breaker->window); /* nobody counts in it now */
            at = (struct reading){.state = BREAKER_CLOSED, .time_ms = now_ms};
        }
        if (change(breaker, &word, at))
            return close;
    }
}

bool breaker_report(struct breaker *breaker, const struct breaker_rules *rules, struct breaker_pass *pass,
                    enum breaker_result result, int64_t retry_after_ms, int64_t now_ms)
{
    if (!pass->held)
        return false;
    pass->held = false;
    bool bad = result == BREAKER_BAD, slow = result == BREAKER_SLOW;
    if (pass->period)
        return bad || slow ? try_failed(breaker, rules, retry_after_ms, now_ms)
                           : try_over(breaker, rules, pass->period, result == BREAKER_GOOD, now_ms);
    if (result == BREAKER_UNKNOWN)
        return false;
    return count(breaker, rules, (struct outcome_sums){1, bad, slow}, retry_after_ms, now_ms);
}

bool breaker_amend(struct breaker *breaker, const struct breaker_rules *rules, int64_t now_ms)
{
    return count(breaker, rules, (struct outcome_sums){.failed = 1}, 0, now_ms);
}

/* --- for pages and logs --- */

enum breaker_state breaker_state(const struct breaker *breaker, int64_t now_ms)
{
    struct reading at = unpack(atomic_load(&breaker->word));
    return at.state == BREAKER_OPEN && now_ms >= at.time_ms ? BREAKER_HALF_OPEN : at.state;
}

const char *breaker_state_name(enum breaker_state state)
{
    switch (state) {
    case BREAKER_CLOSED: return "closed";
    case BREAKER_OPEN: return "open";
    case BREAKER_HALF_OPEN: return "half-open";
    }
    UNREACHABLE();
}

int64_t breaker_wait_ms(const struct breaker *breaker, int64_t now_ms)
{
    struct reading at = unpack(atomic_load(&breaker->word));
    return at.state == BREAKER_CLOSED ? 0 : MAX_OF(at.time_ms - now_ms, 0);
}

struct text breaker_reason(const struct breaker *breaker, char to[128])
{
    unsigned bad = atomic_load(&breaker->because_bad), total = atomic_load(&breaker->because_total);
    int size = 0;
    switch ((enum breaker_cause)atomic_load(&breaker->because)) {
    case BREAKER_BY_FAILURES: size = snprintf(to, 128, "%u requests failed within the window", bad); break;
    case BREAKER_BY_RATIO: size = snprintf(to, 128, "%u of %u requests failed", bad, total); break;
    case BREAKER_BY_SLOWNESS: size = snprintf(to, 128, "%u of %u requests were slow", bad, total); break;
    case BREAKER_BY_PROBE: size = snprintf(to, 128, "a request that tried it failed"); break;
    }
    return (struct text){to, (size_t)size};
}
