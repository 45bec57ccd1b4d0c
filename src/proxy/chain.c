/* Runs the policy chain of one exchange. */
#include "proxy/chain.h"

#include "base/check.h"
#include "proxy/attributes.h"
#include "proxy/body.h"
#include "proxy/deadline.h"
#include "proxy/driver.h"
#include "proxy/worker.h"

enum { TIMING_SAMPLE = 64 }; /* one hook in so many is timed */

const struct policy_instance *chain_current(const struct exchange *ex)
{
    if (!ex->plan || !ex->slots)
        return NULL;
    uint16_t at = ex->chain_at;
    if (ex->step > EXCHANGE_REQUEST_POLICIES && at > 0)
        at--;
    return at < ex->plan->count ? ex->plan->entries[at] : NULL;
}

void chain_set_plan(struct exchange *ex, const struct plan *plan)
{
    ex->plan = plan;
    static const struct plan empty;
    ex->slots = plan->count ? arena_array(&ex->arena, plan->count, sizeof *ex->slots) : NULL;
    if (plan->count && !ex->slots)
        ex->plan = &empty; /* arena.failed refuses the exchange */
}

/* --- consumers --- */

struct plan_key {
    const struct plan *plan;
    uint32_t kind;
    uint32_t at;
};

/* The plan after the current entry with the consumer's sets, from the pin's cache. */
static const struct plan *extended_plan(struct exchange *ex, const struct consumer_kind *kind)
{
    struct snapshot_pin *pin = ex->pin;
    struct plan_key key = {ex->plan, kind->id, ex->chain_at};
    const struct plan *plan = table_get(&pin->plans, (struct text){(const char *)&key, sizeof key});
    if (plan)
        return plan;
    plan = plan_extend(&pin->arena, ex->target->plan, ex->plan, ex->chain_at, kind->sets, kind->sets_count);
    struct text kept = arena_copy(&pin->arena, (struct text){(const char *)&key, sizeof key});
    if (!plan || kept.size == 0 || !table_put(&pin->plans, kept, (void *)(uintptr_t)plan))
        return NULL;
    return plan;
}

void chain_identified(struct exchange *ex)
{
    const struct consumer_kind *kind = ex->consumer ? ex->consumer->kind : NULL;
    if (ex->step != EXCHANGE_REQUEST_POLICIES
        || ((!kind || kind->sets_count == 0) && ex->plan == ex->target->plan))
        return;
    const struct plan *plan = extended_plan(ex, kind);
    struct chain_slot *slots = plan ? arena_array(&ex->arena, plan->count, sizeof *slots) : NULL;
    if (!slots) {
        ex->arena.failed = true; /* fail closed: the driver refuses an exchange whose memory gave out */
        return;
    }
    memcpy(slots, ex->slots, MIN_OF((size_t)ex->chain_at + 1, (size_t)ex->plan->count) * sizeof *slots);
    ex->plan = plan;
    ex->slots = slots;
}

/* --- waiting --- */

enum verdict chain_wait(struct exchange *ex, struct await *operation, const char *what, int64_t timeout_ms,
                        policy_step *step, const char *name)
{
    CHECK(!ex->waiting.operation);
    operation->exchange = ex;
    ex->waiting.operation = operation;
    ex->waiting.next = step;
    ex->waiting.name = name;
    ex->waiting.what = what;
    ex->waiting.since_ns = ex->loop->now_ns;
    ex->waiting.deadline_ms = ex->loop->now_ms + timeout_ms;
    ex->waiting.ready = operation->status != AWAIT_PENDING;
    ex->note.step = name;
    ex->note.waiting_for = what;
    deadline_arm(ex, ex->waiting.deadline_ms);
    return VERDICT_WAIT;
}

static void stop_waiting(struct exchange *ex)
{
    if (ex->waiting.operation)
        ex->waited_ns += ex->loop->now_ns - ex->waiting.since_ns;
    ex->waiting.operation = NULL;
}

void chain_ready(struct await *operation, enum await_status status, const char *reason)
{
    struct exchange *ex = operation->exchange;
    operation->status = status;
    operation->reason = reason;
    if (ex && ex->waiting.operation == operation) {
        ex->waiting.ready = true;
        exchange_wake(ex);
    }
}

void chain_cancel(struct exchange *ex)
{
    struct await *operation = ex->waiting.operation;
    stop_waiting(ex);
    if (operation && operation->status == AWAIT_PENDING && operation->cancel)
        operation->cancel(operation);
}

/* --- verdicts --- */

static void count(struct exchange *ex, const struct policy_instance *entry, enum verdict_count what)
{
    counter_bump(&ex->worker->counts.policy[entry->index][what], 1);
}

static enum chain_result apply(struct exchange *ex, const struct policy_instance *entry, enum verdict verdict)
{
    if (UNLIKELY(ex->arena.failed) && verdict != VERDICT_WAIT) {
        ex->error = ERROR_NO_MEMORY;
        count(ex, entry, COUNT_FAULT);
        return CHAIN_FAULT;
    }
    switch (verdict) {
    case VERDICT_NEXT: count(ex, entry, COUNT_NEXT); return CHAIN_DONE;
    case VERDICT_WAIT: count(ex, entry, COUNT_WAIT); return CHAIN_WAIT;
    case VERDICT_RESPOND: count(ex, entry, COUNT_RESPOND); return CHAIN_RESPOND;
    case VERDICT_DROP: count(ex, entry, COUNT_DROP); return CHAIN_DROP;
    case VERDICT_FAULT:
        count(ex, entry, COUNT_FAULT);
        if (ex->step <= EXCHANGE_REQUEST_POLICIES)
            ex->local = false; /* an answer that was begun is not given */
        return entry->allow_on_error ? CHAIN_DONE : CHAIN_FAULT;
    }
    UNREACHABLE();
}

static enum verdict run_hook(struct exchange *ex, const struct policy_instance *entry, policy_step *hook,
                             void *state)
{
    struct worker *worker = ex->worker;
    if (LIKELY(++worker->sample % TIMING_SAMPLE))
        return hook(ex, entry->config, state);
    int64_t began = time_monotonic_ns();
    enum verdict verdict = hook(ex, entry->config, state);
    counter_bump(&worker->counts.policy_ns[entry->index], (uint64_t)(time_monotonic_ns() - began));
    counter_bump(&worker->counts.policy_samples[entry->index], 1);
    return verdict;
}

/* Runs the step after a wait. */
static enum verdict resume(struct exchange *ex, const struct policy_instance *entry, void *state)
{
    policy_step *next = ex->waiting.next;
    stop_waiting(ex);
    ex->waiting.ready = false;
    ex->note.waiting_for = NULL;
    return run_hook(ex, entry, next, state);
}

static bool about_response(const struct policy_instance *entry)
{
    return entry->when_response;
}

/* Does `when` let the policy run? A condition that fails is the policy's failure. */
static enum chain_result condition(struct exchange *ex, const struct policy_instance *entry, bool *ret_run)
{
    *ret_run = true;
    if (!entry->when)
        return CHAIN_DONE;
    if (!exchange_eval_bool(ex, entry->when, ret_run)) {
        enum chain_result result = apply(ex, entry, VERDICT_FAULT);
        *ret_run = result == CHAIN_DONE
                   && !about_response(entry); /* a client that breaks it does not escape the policy */
        return result;
    }
    if (!*ret_run)
        count(ex, entry, COUNT_SKIPPED);
    return CHAIN_DONE;
}

static enum chain_result enter(struct exchange *ex, const struct policy_instance *entry,
                               struct chain_slot *slot)
{
    bool run = true, whole = body_request_is_whole(ex);
    if (UNLIKELY(entry->when_request_body) && !whole)
        return CHAIN_BODY;
    if (!about_response(entry)) {
        enum chain_result result = condition(ex, entry, &run);
        if (!run)
            return result;
    }
    if (UNLIKELY(entry->request_body.whole) && !whole)
        return CHAIN_BODY;
    if (entry->policy->state_size && !(slot->state = arena_zero(&ex->arena, entry->policy->state_size)))
        return apply(ex, entry, VERDICT_FAULT);
    slot->entered = true;
    ex->note.policy = entry->id;
    if (!entry->policy->on_request || about_response(entry))
        return CHAIN_DONE;
    return apply(ex, entry, run_hook(ex, entry, entry->policy->on_request, slot->state));
}

enum chain_result chain_request(struct exchange *ex)
{
    while (ex->chain_at < ex->plan->count) {
        const struct policy_instance *entry = ex->plan->entries[ex->chain_at];
        struct chain_slot *slot = &ex->slots[ex->chain_at];
        enum chain_result result;
        if (ex->waiting.operation) {
            if (!ex->waiting.ready)
                return CHAIN_WAIT;
            result = apply(ex, entry, resume(ex, entry, slot->state));
        } else {
            result = enter(ex, entry, slot);
        }
        if (result == CHAIN_WAIT && ex->waiting.ready)
            continue; /* the operation was over at once */
        if (result != CHAIN_DONE)
            return result;
        ex->chain_at++;
    }
    return CHAIN_DONE;
}

/* --- response side --- */

void chain_turn(struct exchange *ex)
{
    ex->chain_at = ex->plan ? (uint16_t)MIN_OF((size_t)ex->chain_at + 1, (size_t)ex->plan->count) : 0;
}

static enum chain_result respond_hook(struct exchange *ex, const struct policy_instance *entry,
                                      struct chain_slot *slot)
{
    bool run = true, whole = body_response_is_whole(ex);
    if (UNLIKELY(entry->when_response_body) && !whole)
        return CHAIN_BODY;
    if (about_response(entry)) {
        enum chain_result result = condition(ex, entry, &run);
        if (!run)
            return result;
    }
    if (UNLIKELY(entry->response_body.whole) && !whole)
        return CHAIN_BODY;
    return apply(ex, entry, run_hook(ex, entry, entry->policy->on_response, slot->state));
}

enum chain_result chain_response(struct exchange *ex)
{
    while (ex->chain_at > 0) {
        const struct policy_instance *entry = ex->plan->entries[ex->chain_at - 1];
        struct chain_slot *slot = &ex->slots[ex->chain_at - 1];
        enum chain_result result = CHAIN_DONE;
        if (ex->waiting.operation) {
            if (!ex->waiting.ready)
                return CHAIN_WAIT;
            result = apply(ex, entry, resume(ex, entry, slot->state));
        } else if (slot->entered && entry->policy->on_response) {
            result = respond_hook(ex, entry, slot);
        }
        if (result == CHAIN_WAIT && ex->waiting.ready)
            continue;
        if (result == CHAIN_RESPOND)
            result = CHAIN_DONE; /* it replaced the answer; the outer ones still see it */
        if (result != CHAIN_DONE)
            return result;
        ex->chain_at--;
    }
    return CHAIN_DONE;
}

/* --- bodies --- */

static enum chain_result body_hook(struct exchange *ex, uint16_t at, policy_body_step *hook,
                                   struct body_chunk *chunk)
{
    const struct policy_instance *entry = ex->plan->entries[at];
    if (!hook || !ex->slots[at].entered)
        return CHAIN_DONE;
    enum verdict verdict = hook(ex, entry->config, ex->slots[at].state, chunk);
    CHECK(verdict != VERDICT_WAIT);
    return verdict == VERDICT_NEXT && !ex->arena.failed ? CHAIN_DONE : apply(ex, entry, verdict);
}

enum chain_result chain_request_body(struct exchange *ex, struct body_chunk *chunk)
{
    enum chain_result result = CHAIN_DONE;
    for (uint16_t i = 0; i < ex->plan->count && result == CHAIN_DONE; i++)
        result = body_hook(ex, i, ex->plan->entries[i]->policy->on_request_body, chunk);
    return result;
}

enum chain_result chain_response_body(struct exchange *ex, struct body_chunk *chunk)
{
    enum chain_result result = CHAIN_DONE;
    for (uint16_t i = ex->plan->count; i > 0 && result == CHAIN_DONE; i--)
        result = body_hook(ex, (uint16_t)(i - 1), ex->plan->entries[i - 1]->policy->on_response_body, chunk);
    return result;
}

void chain_end(struct exchange *ex)
{
    for (uint16_t i = 0; ex->plan && ex->slots && i < ex->plan->count; i++) {
        const struct policy_instance *entry = ex->plan->entries[i];
        if (ex->slots[i].entered && entry->policy->on_end)
            entry->policy->on_end(ex, entry->config, ex->slots[i].state);
    }
}
