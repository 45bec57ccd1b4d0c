/* The blocks of the threads, and the registry of series. */
#include "telemetry/metrics.h"

#include <errno.h>
#include <string.h>

#include "base/list.h"
#include "base/memory.h"
#include "base/table.h"

const struct metric_about metric_abouts[METRIC_IDS_COUNT] = {
#define METRIC(id, kind_, name_, help_)                                                                      \
    [METRIC_##id] = {.name = (name_), .help = (help_), .kind = METRIC_KIND_##kind_},
#include "telemetry/metrics.def"
#undef METRIC
};

/* A series and its name in one block: `key` is the size of the route's name, the route, the service. */
struct entry {
    struct metric_series series;
    struct list unclaimed; /* in metrics.unclaimed */
    size_t key_size;
    char key[];
};

struct metrics {
    size_t threads_count, chunks_count; /* chunks: per thread, at most */
    struct metric_thread **threads;
    struct metric_thread *apart;       /* made on first use */
    uint32_t series_max, series_count; /* without the overflow series, whose index is 0 */
    struct entry **entries;            /* by index */
    size_t entries_room;
    struct table by_key;
    struct list unclaimed; /* entries without a claim, the longest so first */
};

static struct entry *entry_new(struct text route, struct text service)
{
    size_t key_size, size;
    uint32_t route_size = (uint32_t)route.size;
    if (route.size > UINT32_MAX || __builtin_add_overflow(route.size, service.size, &key_size)
        || __builtin_add_overflow(key_size, sizeof route_size, &key_size)
        || __builtin_add_overflow(key_size, sizeof(struct entry), &size))
        return NULL;
    struct entry *entry = memory_alloc(size);
    if (!entry)
        return NULL;
    char *at = entry->key;
    memcpy(at, &route_size, sizeof route_size);
    at += sizeof route_size;
    if (route.size)
        memcpy(at, route.at, route.size);
    if (service.size)
        memcpy(at + route.size, service.at, service.size);
    entry->series =
        (struct metric_series){.route = {at, route.size}, .service = {at + route.size, service.size}};
    entry->key_size = key_size;
    list_init(&entry->unclaimed);
    return entry;
}

static struct text key_of(const struct entry *entry)
{
    return (struct text){entry->key, entry->key_size};
}

static struct series_block *block_new(void)
{
    struct series_block *block = memory_aligned(64, sizeof *block);
    if (block)
        memset(block, 0, sizeof *block);
    return block;
}

struct series_block *series_block_new(struct metric_thread *thread, uint32_t index)
{
    struct series_chunk *chunk =
        atomic_load_explicit(&thread->chunks[index >> SERIES_CHUNK_BITS], memory_order_acquire);
    struct series_block *block = chunk ? block_new() : NULL;
    if (!block)
        return thread->overflow;
    atomic_store_explicit(&chunk->blocks[index & (SERIES_CHUNK_SIZE - 1)], block, memory_order_release);
    return block;
}

/* The thread's block of a series for a reader; NULL: nothing was recorded. */
static struct series_block *block_at(const struct metric_thread *thread, uint32_t index)
{
    struct series_chunk *chunk =
        atomic_load_explicit(&thread->chunks[index >> SERIES_CHUNK_BITS], memory_order_acquire);
    return chunk ? atomic_load_explicit(&chunk->blocks[index & (SERIES_CHUNK_SIZE - 1)], memory_order_acquire)
                 : NULL;
}

/* Makes sure that each thread can look `index` up. */
static bool add_chunks(struct metrics *metrics, uint32_t index)
{
    for (size_t i = 0; i < metrics->threads_count; i++) {
        _Atomic(struct series_chunk *) *at = &metrics->threads[i]->chunks[index >> SERIES_CHUNK_BITS];
        if (atomic_load_explicit(at, memory_order_relaxed))
            continue;
        struct series_chunk *chunk = memory_zero(sizeof *chunk);
        if (!chunk)
            return false;
        atomic_store_explicit(at, chunk, memory_order_release);
    }
    return true;
}

static bool add_room(struct metrics *metrics, uint32_t index)
{
    if (index < metrics->entries_room)
        return true;
    size_t room = metrics->entries_room ? metrics->entries_room * 2 : SERIES_CHUNK_SIZE;
    struct entry **entries = memory_resize(metrics->entries, room * sizeof *entries);
    if (!entries)
        return false;
    memset(entries + metrics->entries_room, 0, (room - metrics->entries_room) * sizeof *entries);
    metrics->entries = entries;
    metrics->entries_room = room;
    return true;
}

static struct metric_thread *thread_new(size_t chunks_count)
{
    size_t size = sizeof(struct metric_thread) + chunks_count * sizeof(_Atomic(struct series_chunk *));
    struct metric_thread *thread = memory_aligned(alignof(struct metric_thread), size);
    if (!thread)
        return NULL;
    memset(thread, 0, size);
    thread->overflow = block_new();
    if (thread->overflow)
        return thread;
    memory_free(thread);
    return NULL;
}

static bool init_threads(struct metrics *metrics, size_t count)
{
    metrics->threads = memory_array(count, sizeof(struct metric_thread *));
    while (metrics->threads && metrics->threads_count < count) {
        struct metric_thread *thread = thread_new(metrics->chunks_count);
        if (!thread)
            return false;
        metrics->threads[metrics->threads_count++] = thread;
    }
    return metrics->threads;
}

/* The overflow series has the index 0, a claim that is never given back, and no key in the table: no route is
 * mistaken for it. */
static bool init_overflow(struct metrics *metrics)
{
    struct entry *entry = entry_new(TEXT("_overflow"), TEXT("_overflow"));
    if (!entry || !add_room(metrics, SERIES_OVERFLOW) || !add_chunks(metrics, SERIES_OVERFLOW)) {
        memory_free(entry);
        return false;
    }
    entry->series.claims = 1;
    metrics->entries[SERIES_OVERFLOW] = entry;
    for (size_t i = 0; i < metrics->threads_count; i++) {
        struct metric_thread *thread = metrics->threads[i];
        atomic_store_explicit(&thread->chunks[0]->blocks[SERIES_OVERFLOW], thread->overflow,
                              memory_order_release);
    }
    return true;
}

struct metrics *metrics_new(size_t threads, uint32_t series_max, struct error *reterr)
{
    struct metrics *metrics = memory_zero(sizeof *metrics);
    if (metrics) {
        metrics->series_max = MIN_OF(series_max, UINT32_MAX - SERIES_CHUNK_SIZE);
        metrics->chunks_count = (size_t)(metrics->series_max >> SERIES_CHUNK_BITS) + 1;
        list_init(&metrics->unclaimed);
        table_init(&metrics->by_key);
        if (init_threads(metrics, threads) && init_overflow(metrics))
            return metrics;
        metrics_free(metrics);
    }
    error_set(reterr, -ENOMEM, "cannot make the metrics of %zu threads: out of memory", threads);
    return NULL;
}

static void thread_free(struct metric_thread *thread, size_t chunks_count)
{
    for (size_t i = 0; i < chunks_count; i++) {
        struct series_chunk *chunk = thread->chunks[i];
        for (size_t j = 0; chunk && j < SERIES_CHUNK_SIZE; j++)
            if (chunk->blocks[j] != thread->overflow)
                memory_free(chunk->blocks[j]);
        memory_free(chunk);
    }
    memory_free(thread->overflow);
    memory_free(thread);
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    for (size_t i = 0; i < metrics->threads_count; i++)
        thread_free(metrics->threads[i], metrics->chunks_count);
    if (metrics->apart)
        thread_free(metrics->apart, metrics->chunks_count);
    for (size_t i = 0; i < metrics->entries_room; i++)
        memory_free(metrics->entries[i]);
    table_release(&metrics->by_key);
    memory_free(metrics->entries);
    memory_free(metrics->threads);
    memory_free(metrics);
}

struct metric_thread *metrics_thread(struct metrics *metrics, size_t thread)
{
    CHECK(thread < metrics->threads_count);
    return metrics->threads[thread];
}

size_t metrics_threads_count(const struct metrics *metrics)
{
    return metrics->threads_count;
}

struct metric_thread *metrics_apart(struct metrics *metrics)
{
    if (!metrics->apart)
        metrics->apart = thread_new(metrics->chunks_count);
    return metrics->apart;
}

static size_t thread_bytes(const struct metric_thread *thread, size_t chunks_count)
{
    size_t bytes = sizeof *thread + chunks_count * sizeof thread->chunks[0];
    for (size_t i = 0; i < chunks_count; i++) {
        struct series_chunk *chunk = thread->chunks[i];
        bytes += chunk ? sizeof *chunk : 0;
        for (size_t j = 0; chunk && j < SERIES_CHUNK_SIZE; j++)
            bytes += chunk->blocks[j] ? sizeof(struct series_block) : 0;
    }
    return bytes;
}

size_t metrics_bytes(const struct metrics *metrics)
{
    size_t bytes = sizeof *metrics + metrics->entries_room * sizeof(struct entry *)
                   + metrics->by_key.capacity * sizeof(struct table_slot);
    for (size_t i = 0; i < metrics->threads_count; i++)
        bytes += thread_bytes(metrics->threads[i], metrics->chunks_count);
    for (size_t i = 0; i < metrics->entries_room; i++)
        bytes += metrics->entries[i] ? sizeof(struct entry) + metrics->entries[i]->key_size : 0;
    return bytes;
}

uint64_t metric_total(const struct metrics *metrics, enum metric_id id)
{
    uint64_t total = 0;
    for (size_t i = 0; i < metrics->threads_count; i++)
        total += atomic_load_explicit(&metrics->threads[i]->values[id], memory_order_relaxed);
    return total;
}

/* Blocks are all counters, so they are cleared as such. No worker records to them: no one holds the
 * series. */
static void clear_blocks(struct metrics *metrics, uint32_t index)
{
    for (size_t i = 0; i < metrics->threads_count; i++) {
        struct series_block *block = block_at(metrics->threads[i], index);
        _Atomic uint64_t *values = (_Atomic uint64_t *)block;
        for (size_t j = 0; block && j < sizeof *block / sizeof *values; j++)
            atomic_store_explicit(&values[j], 0, memory_order_relaxed);
    }
}

/* An index for a new series: a fresh one, or at the limit that of the series which has been without a claim
 * for longest. SERIES_OVERFLOW: there is none. */
static uint32_t take_index(struct metrics *metrics)
{
    if (metrics->series_count < metrics->series_max) {
        uint32_t index = metrics->series_count + 1;
        if (!add_room(metrics, index) || !add_chunks(metrics, index))
            return SERIES_OVERFLOW;
        metrics->series_count++;
        return index;
    }
    struct list *link = list_pop_front(&metrics->unclaimed);
    if (!link)
        return SERIES_OVERFLOW;
    struct entry *oldest = CONTAINER_OF(link, struct entry, unclaimed);
    uint32_t index = oldest->series.index;
    clear_blocks(metrics, index);
    metrics->entries[index] = NULL;
    (void)table_remove(&metrics->by_key, key_of(oldest)); /* it is `oldest` */
    memory_free(oldest);
    return index;
}

/* Puts a new entry in; false: the limit, or no memory. */
static bool insert(struct metrics *metrics, struct entry *entry)
{
    if (!table_put(&metrics->by_key, key_of(entry), entry))
        return false;
    entry->series.index = take_index(metrics);
    if (entry->series.index == SERIES_OVERFLOW) {
        (void)table_remove(&metrics->by_key, key_of(entry)); /* it is `entry` */
        return false;
    }
    metrics->entries[entry->series.index] = entry;
    return true;
}

struct metric_series *series_claim(struct metrics *metrics, struct text route, struct text service)
{
    struct entry *entry = entry_new(route, service);
    struct entry *known = entry ? table_get(&metrics->by_key, key_of(entry)) : NULL;
    if (known || !entry || !insert(metrics, entry)) {
        memory_free(entry);
        entry = known;
    }
    if (!entry) { /* counted on the thread of the registry, the last one by convention */
        if (metrics->threads_count)
            metric_add(metrics->threads[metrics->threads_count - 1], METRIC_SERIES_OVERFLOWED, 1);
        entry = metrics->entries[SERIES_OVERFLOW];
    }
    list_remove(&entry->unclaimed);
    entry->series.claims++;
    return &entry->series;
}

void series_unclaim(struct metrics *metrics, struct metric_series *series)
{
    if (!series)
        return;
    CHECK(series->claims > 0);
    struct entry *entry = CONTAINER_OF(series, struct entry, series);
    if (--series->claims == 0)
        list_push_back(&metrics->unclaimed, &entry->unclaimed);
}

void series_sum(const struct metrics *metrics, const struct metric_series *series,
                struct series_total *ret_total)
{
    *ret_total = (struct series_total){.bytes_in = 0};
    for (size_t i = 0; i < metrics->threads_count; i++) {
        const struct series_block *block = block_at(metrics->threads[i], series->index);
        if (!block)
            continue;
        for (int j = 0; j < SERIES_STATUSES; j++)
            ret_total->requests[j] += atomic_load_explicit(&block->requests[j], memory_order_relaxed);
        ret_total->bytes_in += atomic_load_explicit(&block->bytes_in, memory_order_relaxed);
        ret_total->bytes_out += atomic_load_explicit(&block->bytes_out, memory_order_relaxed);
        ret_total->attempts += atomic_load_explicit(&block->attempts, memory_order_relaxed);
        ret_total->failures += atomic_load_explicit(&block->failures, memory_order_relaxed);
        ret_total->retries += atomic_load_explicit(&block->retries, memory_order_relaxed);
        histogram_sum(&block->total, &ret_total->total);
        histogram_sum(&block->upstream, &ret_total->upstream);
        histogram_sum(&block->own, &ret_total->own);
        histogram_sum(&block->queued, &ret_total->queued);
        histogram_sum(&block->waited, &ret_total->waited);
    }
}

const struct metric_series *series_next(const struct metrics *metrics, uint32_t *cursor)
{
    while (*cursor <= metrics->series_count) {
        const struct entry *entry = metrics->entries[(*cursor)++];
        if (entry)
            return &entry->series;
    }
    return NULL;
}
