/* Chooses among the services of a route. */
#include "proxy/route_choice.h"

#include <stdio.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/random.h"
#include "proxy/attributes.h"
#include "proxy/exchange.h"

static bool evaluate(const struct expr *expr, struct exchange *ex, struct text *ret_text,
                     struct expr_error *reterr)
{
    struct expr_run run = {
        .lookup = exchange_lookup, .context = ex, .arena = &ex->arena, .now_ns = ex->loop->wall_ns};
    return expr_eval_text(expr, &run, ret_text, reterr);
}

/* FNV-1a, mixed: without a secret, so that a key goes to the same service whichever node and process asks, and after each restart. */
static uint64_t stable_hash(struct text key)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < key.size; i++)
        hash = (hash ^ (unsigned char)key.at[i]) * 0x100000001b3u;
    return hash_mix(hash);
}

/* A key has a place between 0 and 1, and each service a share of that line: when a weight changes, only what lies between the old and the new
 * borders moves. */
static const struct route_target *by_weight(const struct route_choice *choice, uint64_t place)
{
    uint64_t at = (uint64_t)((unsigned __int128)place * choice->weights >> 64);
    const struct route_target *target = choice->targets;
    for (; at >= target->weight; target++)
        at -= target->weight;
    return target;
}

static const struct route_target *by_name(const struct route_choice *choice, struct exchange *ex,
                                          struct expr_error *reterr)
{
    struct text name;
    if (!evaluate(choice->expression, ex, &name, reterr))
        return choice->otherwise;
    for (size_t i = 0; i < choice->targets_count; i++)
        if (text_equal(choice->targets[i].service->name, name))
            return &choice->targets[i];
    *reterr = (struct expr_error){.line = 1, .column = 1};
    snprintf(reterr->said, sizeof reterr->said, "it gives `%.*s`, which is not among the route's services",
             TEXT_ARGS(text_slice(name, 0, 100)));
    return choice->otherwise;
}

const struct route_target *route_choose(const struct route_choice *choice, struct exchange *ex,
                                        struct expr_error *reterr)
{
    struct text key;
    if (!choice->weights)
        return by_name(choice, ex, reterr);
    if (!choice->key)
        return by_weight(choice, random_uint64());
    return evaluate(choice->key, ex, &key, reterr) ? by_weight(choice, stable_hash(key)) : NULL;
}
