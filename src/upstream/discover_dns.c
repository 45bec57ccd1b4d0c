/* Addresses of a host name (A and AAAA): all of them, asked for again when the time to live has passed.
 *
 * When one family is answered and the other fails, the addresses of the one that failed are kept. An address that is no longer in the
 * answer is kept for `hold`: names of large services answer with another few of their addresses each time. */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "net/resolver.h"
#include "upstream/discover_private.h"

struct dns_source {
    struct source source;
    struct resolver_query query;
    struct timer timer;
};

/* IPv4 first, then by bytes: so that an answer in another order is the same answer. */
static int compare(const void *a_, const void *b_)
{
    const struct found *a = a_, *b = b_;
    struct ip first = address_ip(&a->address), second = address_ip(&b->address);
    int families = (a->address.any.sa_family == AF_INET6) - (b->address.any.sa_family == AF_INET6);
    return families ? families : memcmp(&first, &second, sizeof first);
}

static bool is_among(const struct found *found, uint32_t count, const struct address *address)
{
    for (uint32_t i = 0; i < count; i++)
        if (address_equal(&found[i].address, address))
            return true;
    return false;
}

static bool is_kept(const struct dns_source *self, const struct found *old, const struct resolved *result)
{
    const struct discovery *discovery = self->source.discovery;
    return old->address.any.sa_family == result->failed_family
           || discovery->loop->now_ms - old->seen_ms < discovery->options.hold_ms;
}

static bool is_same(const struct source *source, const struct found *found, uint32_t count)
{
    if (count != source->found_count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!address_equal(&found[i].address, &source->found[i].address))
            return false;
    return true;
}

/* What was found now, and what is kept of what was found before. NULL: no memory. */
static struct found *merge(const struct dns_source *self, const struct resolved *result, uint32_t *ret_count)
{
    const struct source *source = &self->source;
    uint32_t fresh = (uint32_t)MIN_OF(result->count, (size_t)FOUND_MAX), count = 0;
    struct found *found = memory_array(fresh + source->found_count, sizeof *found);
    if (!found)
        return NULL;
    for (; count < fresh; count++)
        found[count] = (struct found){
            .address = result->addresses[count], .weight = 1, .seen_ms = source->discovery->loop->now_ms};
    for (uint32_t i = 0; i < source->found_count && count < FOUND_MAX; i++)
        if (is_kept(self, &source->found[i], result) && !is_among(found, fresh, &source->found[i].address))
            found[count++] = source->found[i];
    qsort(found, count, sizeof *found, compare);
    *ret_count = count;
    return found;
}

static void ask_again(struct dns_source *self, int64_t at_ms)
{
    timer_set(self->source.discovery->loop, &self->timer, at_ms);
}

static void resolved(struct resolver_query *query, const struct resolved *result)
{
    struct dns_source *self = CONTAINER_OF(query, struct dns_source, query);
    struct source *source = &self->source;
    uint32_t count;
    if (result->error || result->count == 0) {
        ask_again(self,
                  source_failed(source, result->reason, result->error == -ENOENT ? result->ttl_ms : -1));
        return;
    }
    struct found *found = merge(self, result, &count);
    if (!found) {
        ask_again(self, source_failed(source, "out of memory", -1));
        return;
    }
    bool changed = !is_same(source, found, count);
    memory_free(source->found);
    source->found = found;
    source->found_count = count;
    ask_again(self, source_answered(source, changed, result->ttl_ms));
}

static void ask(struct timer *timer)
{
    struct dns_source *self = CONTAINER_OF(timer, struct dns_source, timer);
    self->source.next_ms = 0;
    self->query.on_done = resolved;
    resolver_start(self->source.discovery->resolver, &self->query, self->source.name.at, 0);
}

static void start(struct source *source)
{
    struct dns_source *self = CONTAINER_OF(source, struct dns_source, source);
    self->timer.on_due = ask;
    if (source->discovery->resolver)
        ask(&self->timer);
    else
        source->settled = true;
}

static void stop(struct source *source)
{
    struct dns_source *self = CONTAINER_OF(source, struct dns_source, source);
    if (source->discovery->resolver)
        resolver_cancel(source->discovery->resolver, &self->query);
    timer_clear(source->discovery->loop, &self->timer);
    memory_free(source->found);
}

const struct source_type source_dns = {"dns", sizeof(struct dns_source), start, stop};
