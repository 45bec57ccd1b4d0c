/* Endpoints of a service name (RFC 2782): targets with ports, priorities and weights; each target's addresses are a source of their own.
 *
 * A target's weight is divided among its addresses. */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "net/dns_message.h"
#include "net/resolver.h"
#include "upstream/discover_private.h"

enum { WEIGHT_UNIT = 256 };

/* A target in use, with the addresses of its name. */
struct target {
    struct dns_target record;
    struct srv_source *owner;
    struct source *addresses;
    struct source_use use;
};

struct srv_source {
    struct source source;
    struct resolver_query query;
    struct timer timer;
    struct target *targets;
    uint32_t targets_count;
};

/* --- what is found: the targets' addresses --- */

static uint32_t add_target(const struct target *target, struct found *found, uint32_t count)
{
    const struct source *addresses = target->addresses;
    /* Weight 0 is for when nothing else is there (RFC 2782): the smallest share comes nearest. */
    uint32_t weight = MAX_OF(target->record.weight, 1u) * WEIGHT_UNIT;
    for (uint32_t i = 0; i < addresses->found_count && count < FOUND_MAX; i++) {
        struct found *one = &found[count++];
        *one = addresses->found[i];
        one->host = text_of(target->record.name);
        one->priority = target->record.priority;
        one->weight = MAX_OF(weight / addresses->found_count, 1u);
        if (one->address.any.sa_family == AF_INET)
            one->address.v4.sin_port = htons(target->record.port);
        else
            one->address.v6.sin6_port = htons(target->record.port);
    }
    return count;
}

/* False: no memory; what was found before stays. */
static bool collect(struct srv_source *self)
{
    struct source *source = &self->source;
    size_t room = 0;
    for (uint32_t i = 0; i < self->targets_count; i++)
        room += self->targets[i].addresses->found_count;
    struct found *found = memory_array(MIN_OF(room, (size_t)FOUND_MAX), sizeof *found);
    if (!found)
        return false;
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->targets_count; i++)
        count = add_target(&self->targets[i], found, count);
    memory_free(source->found);
    source->found = found;
    source->found_count = count;
    return true;
}

static void addresses_changed(struct source_use *use)
{
    struct srv_source *self = CONTAINER_OF(use, struct target, use)->owner;
    if (collect(self))
        source_changed(&self->source);
}

/* --- targets --- */

static void drop_targets(struct target *targets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        source_release(targets[i].addresses, &targets[i].use);
    memory_free(targets);
}

static int compare(const void *a_, const void *b_)
{
    const struct target *a = a_, *b = b_;
    int names = strcmp(a->record.name, b->record.name);
    return names ? names : (int)a->record.port - (int)b->record.port;
}

/* Records in one order; NULL: no memory. */
static struct target *take_records(struct srv_source *self, const struct resolved *result,
                                   uint32_t *ret_count)
{
    uint32_t count = 0;
    struct target *targets = memory_array(result->count, sizeof *targets);
    for (size_t i = 0; targets && i < result->count; i++)
        if (result->targets[i].name[0] && result->targets[i].port)
            targets[count++] = (struct target){.record = result->targets[i], .owner = self};
    if (targets)
        qsort(targets, count, sizeof *targets, compare);
    *ret_count = count;
    return targets;
}

static bool is_same(const struct srv_source *self, const struct target *targets, uint32_t count)
{
    if (count != self->targets_count)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct dns_target *a = &targets[i].record, *b = &self->targets[i].record;
        if (strcmp(a->name, b->name) || a->port != b->port || a->priority != b->priority
            || a->weight != b->weight)
            return false;
    }
    return true;
}

/* All or none: the claims on the names of the targets. */
static bool claim_names(struct srv_source *self, struct target *targets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        targets[i].use.changed = addresses_changed;
        targets[i].addresses = source_claim(self->source.discovery, SOURCE_DNS,
                                            text_of(targets[i].record.name), &targets[i].use);
        if (targets[i].addresses)
            continue;
        while (i-- > 0)
            source_release(targets[i].addresses, &targets[i].use);
        return false;
    }
    return true;
}

/* New names are claimed before old ones are released, so that those in both are not asked for again. False: no memory, nothing was done. */
static bool replace_targets(struct srv_source *self, struct target *targets, uint32_t count)
{
    if (!claim_names(self, targets, count))
        return false;
    struct target *old = self->targets;
    uint32_t old_count = self->targets_count;
    self->targets = targets;
    self->targets_count = count;
    if (!collect(self))
        self->source.found_count = 0; /* it points to names that go; whoever used them keeps what it has */
    drop_targets(old, old_count);
    return true;
}

/* --- asking --- */

static const char *failure_of(const struct resolved *result)
{
    if (result->error == -ENOENT && strstr(result->reason, "addresses"))
        return "the name has no service records";
    return result->reason;
}

/* NULL: taken, `*ret_changed` says whether anything is different; else why not. */
static const char *take(struct srv_source *self, const struct resolved *result, bool *ret_changed)
{
    uint32_t count = 0;
    struct target *targets = take_records(self, result, &count);
    bool changed = targets && !is_same(self, targets, count);
    const char *failure = !targets     ? "out of memory"
                          : count == 0 ? "the service is said not to be there (target `.`)"
                                       : NULL;
    if (!failure && changed && replace_targets(self, targets, count)) {
        *ret_changed = true;
        return NULL; /* they are the source's now */
    }
    memory_free(targets);
    *ret_changed = false;
    return !failure && changed ? "out of memory" : failure;
}

static void resolved(struct resolver_query *query, const struct resolved *result)
{
    struct srv_source *self = CONTAINER_OF(query, struct srv_source, query);
    struct source *source = &self->source;
    bool changed = false;
    const char *failure = result->error ? failure_of(result) : take(self, result, &changed);
    int64_t next_ms = failure ? source_failed(source, failure, result->error == -ENOENT ? result->ttl_ms : -1)
                              : source_answered(source, changed, result->ttl_ms);
    timer_set(source->discovery->loop, &self->timer, next_ms);
}

static void ask(struct timer *timer)
{
    struct srv_source *self = CONTAINER_OF(timer, struct srv_source, timer);
    self->source.next_ms = 0;
    self->query.on_done = resolved;
    resolver_start_srv(self->source.discovery->resolver, &self->query, self->source.name.at);
}

static void start(struct source *source)
{
    struct srv_source *self = CONTAINER_OF(source, struct srv_source, source);
    self->timer.on_due = ask;
    if (source->discovery->resolver)
        ask(&self->timer);
    else
        source->settled = true;
}

static void stop(struct source *source)
{
    struct srv_source *self = CONTAINER_OF(source, struct srv_source, source);
    if (source->discovery->resolver)
        resolver_cancel(source->discovery->resolver, &self->query);
    timer_clear(source->discovery->loop, &self->timer);
    drop_targets(self->targets, self->targets_count);
    memory_free(source->found);
}

const struct source_type source_srv = {"srv", sizeof(struct srv_source), start, stop};
