/* The sources of the process: found by key, asked while somebody uses them. */
#include "upstream/discover.h"

#include <stdio.h>

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "upstream/discover_private.h"

enum { RETRY_FIRST_MS = 1000, TTL_UNKNOWN_MS = 30000, DOUBLINGS_MAX = 16 };

const struct discovery_options discovery_defaults = {
    .ttl_min_ms = 1000, .ttl_max_ms = 300000, .negative_ms = 10000, .hold_ms = 0, .file_ms = 1000};

struct discovery *discovery_new(struct loop *control, struct resolver *resolver,
                                const struct discovery_options *options)
{
    struct discovery *discovery = memory_zero(sizeof *discovery);
    if (!discovery)
        return NULL;
    discovery->loop = control;
    discovery->resolver = resolver;
    discovery->options = *options;
    list_init(&discovery->sources);
    return discovery;
}

void discovery_configure(struct discovery *discovery, const struct discovery_options *options)
{
    discovery->options = *options;
}

void discovery_free(struct discovery *discovery)
{
    if (!discovery)
        return;
    CHECK(list_is_empty(&discovery->sources));
    table_release(&discovery->by_key);
    memory_free(discovery);
}

/* --- claims --- */

static const struct source_type *type_of(enum source_kind kind)
{
    switch (kind) {
    case SOURCE_DNS: return &source_dns;
    case SOURCE_SRV: return &source_srv;
    case SOURCE_FILE: return &source_file;
    }
    UNREACHABLE();
}

/* The key is a block of its own, because the table keeps it. Names of hosts are the same in any case. */
static bool set_key(struct source *source, struct text name, bool is_file)
{
    size_t prefix = strlen(source->type->name) + 1;
    char *key = memory_alloc(prefix + name.size + 1);
    if (!key)
        return false;
    int size = snprintf(key, prefix + name.size + 1, "%s:%.*s", source->type->name, TEXT_ARGS(name));
    for (char *at = key + prefix; *at && !is_file; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at + ('a' - 'A'));
    source->key = (struct text){key, (size_t)size};
    source->name = text_slice(source->key, prefix, source->key.size);
    return true;
}

static void destroy(struct source *source)
{
    memory_free((void *)(uintptr_t)source->key.at);
    memory_free(source);
}

static struct source *make(struct discovery *discovery, enum source_kind kind, struct text name)
{
    const struct source_type *type = type_of(kind);
    struct source *source = memory_zero(type->size);
    if (!source)
        return NULL;
    source->type = type;
    source->discovery = discovery;
    list_init(&source->users);
    list_init(&source->link);
    if (set_key(source, name, kind == SOURCE_FILE))
        return source;
    destroy(source);
    return NULL;
}

struct source *source_claim(struct discovery *discovery, enum source_kind kind, struct text name,
                            struct source_use *use)
{
    struct source *source = make(discovery, kind, name);
    struct source *known = source ? table_get(&discovery->by_key, source->key) : NULL;
    if (!source || (!known && !table_put(&discovery->by_key, source->key, source))) {
        if (source)
            destroy(source);
        return NULL;
    }
    if (known) {
        destroy(source);
        source = known;
    }
    source->claims++;
    list_push_back(&source->users, &use->link);
    if (!known) {
        list_push_back(&discovery->sources, &source->link);
        source->type->start(source);
    }
    return source;
}

void source_release(struct source *source, struct source_use *use)
{
    list_remove(&use->link);
    CHECK(source->claims > 0);
    if (--source->claims > 0)
        return;
    source->type->stop(source);
    list_remove(&source->link);
    table_remove(&source->discovery->by_key, source->key);
    destroy(source);
}

/* --- answers --- */

void source_changed(struct source *source)
{
    source->changes++;
    source->changed_ms = source->discovery->loop->now_ms;
    LIST_EACH_SAFE (link, &source->users) {
        struct source_use *use = CONTAINER_OF(link, struct source_use, link);
        use->changed(use);
    }
}

/* Nodes that started together shall not ask together for ever: up to a tenth earlier. */
static int64_t with_jitter(int64_t ms)
{
    return ms - (int64_t)random_below((uint64_t)ms / 10 + 1);
}

int64_t source_answered(struct source *source, bool changed, int64_t ttl_ms)
{
    const struct discovery_options *options = &source->discovery->options;
    int64_t wanted_ms = ttl_ms < 0 ? TTL_UNKNOWN_MS : ttl_ms;
    int64_t again_ms = MAX_OF(options->ttl_min_ms, MIN_OF(wanted_ms, options->ttl_max_ms));
    if (source->failures_in_a_row > 0)
        log_info("endpoints found again", LOG_TEXT("source", source->key));
    source->settled = true;
    source->answers++;
    source->failures_in_a_row = 0;
    source->reason[0] = 0;
    source->answered_ms = MAX_OF(source->discovery->loop->now_ms, 1);
    source->next_ms = source->discovery->loop->now_ms + with_jitter(again_ms);
    if (changed)
        source_changed(source);
    return source->next_ms;
}

/* The first failure in a row is logged, and each that has another reason: not every one of an outage. */
int64_t source_failed(struct source *source, const char *reason, int64_t ttl_ms)
{
    const struct discovery_options *options = &source->discovery->options;
    int doublings = (int)MIN_OF(source->failures_in_a_row, (unsigned)DOUBLINGS_MAX);
    int64_t again_ms =
        ttl_ms >= 0 ? MAX_OF(ttl_ms, options->ttl_min_ms) : (int64_t)RETRY_FIRST_MS << doublings;
    again_ms = MAX_OF(MIN_OF(again_ms, options->negative_ms), 1);
    if (strncmp(source->reason, reason, sizeof source->reason - 1) != 0)
        log_warn("endpoints not found; those that are known stay", LOG_TEXT("source", source->key),
                 LOG_STRING("reason", reason), LOG_INT("known", source->found_count + source->specs_count));
    snprintf(source->reason, sizeof source->reason, "%s", reason);
    source->settled = true;
    source->failures++;
    source->failures_in_a_row++;
    source->next_ms = source->discovery->loop->now_ms + with_jitter(again_ms);
    return source->next_ms;
}

/* --- for others --- */

bool discovery_settled(const struct discovery *discovery)
{
    LIST_EACH (link, &discovery->sources) {
        if (!CONTAINER_OF(link, const struct source, link)->settled)
            return false;
    }
    return true;
}

const struct source *discovery_next(const struct discovery *discovery, const struct source *previous)
{
    const struct list *next = previous ? previous->link.next : discovery->sources.next;
    return next == &discovery->sources ? NULL : CONTAINER_OF(next, const struct source, link);
}

const struct source *discovery_find(const struct discovery *discovery, struct text key)
{
    return table_get(&discovery->by_key, key);
}
