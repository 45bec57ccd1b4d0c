/* Merges policy sets into plans. */
#include "policy/plan.h"

#include "base/check.h"

struct draft {
    const struct policy_instance *entries[PLAN_ENTRIES_MAX];
    size_t count;
};

static bool add(struct draft *draft, size_t fixed, const struct policy_instance *instance)
{
    for (size_t i = fixed; i < draft->count; i++) {
        if (text_equal(draft->entries[i]->id,
                       instance->id)) { /* the narrower one takes its turn among its own */
            memmove(&draft->entries[i], &draft->entries[i + 1],
                    (draft->count - i - 1) * sizeof draft->entries[0]);
            draft->count--;
            break;
        }
    }
    if (draft->count == PLAN_ENTRIES_MAX)
        return false;
    draft->entries[draft->count++] = instance;
    return true;
}

static bool add_sets(struct draft *draft, size_t fixed, const struct policy_set *const *sets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; sets[i] && k < sets[i]->count; k++)
            if (!add(draft, fixed, &sets[i]->items[k]))
                return false;
    return true;
}

/* Stable, by stage; short lists. */
static void sort_stages(struct draft *draft, size_t from)
{
    for (size_t i = from + 1; i < draft->count; i++) {
        const struct policy_instance *moving = draft->entries[i];
        size_t at = i;
        for (; at > from && draft->entries[at - 1]->stage > moving->stage; at--)
            draft->entries[at] = draft->entries[at - 1];
        draft->entries[at] = moving;
    }
}

static const struct plan *finish(struct arena *arena, const struct draft *draft)
{
    struct plan *plan = ARENA_NEW(arena, struct plan);
    const struct policy_instance **entries = arena_array(arena, draft->count, sizeof *entries);
    if (!plan || !entries)
        return NULL;
    for (size_t i = 0; i < draft->count; i++) {
        const struct policy *policy = draft->entries[i]->policy;
        entries[i] = draft->entries[i];
        if (entries[i]->request_body.whole && !plan->buffers_request)
            plan->buffers_request = entries[i];
        if (entries[i]->response_body.whole && !plan->buffers_response)
            plan->buffers_response = entries[i];
        plan->request_stream |= policy->on_request_body != NULL;
        plan->response_stream |= policy->on_response_body != NULL;
    }
    plan->entries = entries;
    plan->count = (uint16_t)draft->count;
    return plan;
}

const struct plan *plan_merge(struct arena *arena, const struct policy_set *const *sets, size_t count)
{
    struct draft draft = {.count = 0};
    if (!add_sets(&draft, 0, sets, count))
        return NULL;
    sort_stages(&draft, 0);
    return finish(arena, &draft);
}

static bool holds(const struct draft *draft, const struct policy_instance *instance)
{
    for (size_t i = 0; i < draft->count; i++)
        if (draft->entries[i] == instance)
            return true;
    return false;
}

const struct plan *plan_extend(struct arena *arena, const struct plan *base, const struct plan *plan,
                               uint16_t at, const struct policy_set *const *sets, size_t count)
{
    size_t fixed = MIN_OF((size_t)at + 1, (size_t)plan->count);
    struct draft draft = {.count = fixed};
    memcpy(draft.entries, plan->entries, fixed * sizeof draft.entries[0]);
    for (uint16_t i = 0; i < base->count; i++) {
        if (holds(&draft, base->entries[i]))
            continue;
        if (draft.count == PLAN_ENTRIES_MAX)
            return NULL;
        draft.entries[draft.count++] = base->entries[i];
    }
    if (!add_sets(&draft, fixed, sets, count))
        return NULL;
    sort_stages(&draft, fixed);
    return finish(arena, &draft);
}
