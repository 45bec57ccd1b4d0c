/* Drains the rings of the workers into an output.
 *
 * Who wakes whom: a worker whose line finds `wake_sent` unset mails `wake`, which starts the flush timer. A
 * flush unsets `wake_sent` before it looks at the rings. A line that was committed just then may be seen
 * neither by this flush nor by its own worker as one to be announced, so the timer runs on until a flush has
 * found nothing. This way an idle gateway does not wake up, and a busy one mails ten times a second. */
#include "telemetry/log_file.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"
#include "telemetry/log_output.h"

enum {
    FLUSH_MS_DEFAULT = 100,
    RING_SIZE_DEFAULT = 1024 * 1024,
    REPORT_MS = 60000,
    PARTS_MAX = 64,
    ROUNDS_MAX = 32, /* writes of one flush: the control thread has other work too */
};

struct log_file {
    struct loop *loop;
    char *name, *path;
    int64_t flush_ms;
    struct log_output output;
    struct timer flush_timer, report_timer;
    size_t first; /* the source to begin with: one whose line was written in part goes on before all others */
    bool cut;     /* the last byte written was not the end of a line */
    bool torn;    /* and the rest of that line was dropped */
    struct log_file_stats stats;
    uint64_t bytes_reported, lines_reported;
    int last_error;
    size_t sources_count, ring_size;
    struct log_source *sources;
    struct log_file_stats *closed;
};

/* A part of a write and where it came from. */
struct batch {
    struct iovec parts[PARTS_MAX];
    size_t sources[PARTS_MAX];
    int count;
};

static size_t gather(struct log_file *file, struct batch *batch)
{
    size_t total = 0;
    batch->count = 0;
    for (size_t i = 0; i < file->sources_count && batch->count + 2 <= PARTS_MAX; i++) {
        size_t source = (file->first + i) % file->sources_count;
        int parts = ring_peek(&file->sources[source].ring, batch->parts + batch->count);
        for (int j = 0; j < parts; j++) {
            total += batch->parts[batch->count].iov_len;
            batch->sources[batch->count++] = source;
        }
    }
    return total;
}

/* Gives `taken` bytes of the batch back to the rings, and remembers where the output stopped. */
static void consume(struct log_file *file, const struct batch *batch, size_t taken)
{
    for (int i = 0; i < batch->count && taken > 0; i++) {
        size_t size = MIN_OF(taken, batch->parts[i].iov_len);
        if (size == 0)
            continue;
        const char *last = (const char *)batch->parts[i].iov_base + size - 1;
        file->cut = *last != '\n';
        file->first = batch->sources[i];
        ring_consume(&file->sources[batch->sources[i]].ring, size);
        taken -= size;
    }
}

static void report(struct log_file *file)
{
    struct log_file_stats stats;
    log_file_read_stats(file, &stats);
    if (stats.bytes_dropped == file->bytes_reported && stats.lines_dropped == file->lines_reported)
        return;
    log_warn("log lines were lost", LOG_STRING("log", file->name), LOG_STRING("path", file->path),
             LOG_INT("lines_without_room", stats.lines_dropped - file->lines_reported),
             LOG_INT("bytes_not_written", stats.bytes_dropped - file->bytes_reported),
             LOG_STRING("last_error", file->last_error ? strerrordesc_np(file->last_error) : "none"));
    file->bytes_reported = stats.bytes_dropped;
    file->lines_reported = stats.lines_dropped;
    timer_set(file->loop, &file->report_timer, file->loop->now_ms + REPORT_MS);
}

static void on_report_due(struct timer *timer)
{
    report(CONTAINER_OF(timer, struct log_file, report_timer));
}

static uint64_t lines_of(const struct iovec *part)
{
    struct text rest = {part->iov_base, part->iov_len};
    uint64_t lines = 0;
    for (size_t at; (at = text_find_char(rest, '\n')) != TEXT_NONE; lines++)
        rest = text_slice(rest, at + 1, rest.size);
    return lines;
}

/* The output is broken: what it should have taken is lost, and the next write tries again. */
static void drop(struct log_file *file, const struct batch *batch, size_t total, int error)
{
    file->torn |= file->cut;
    for (int i = 0; i < batch->count; i++)
        file->stats.lines_lost += lines_of(&batch->parts[i]);
    consume(file, batch, total);
    file->cut = false;
    file->stats.failures++;
    file->stats.bytes_dropped += total;
    file->last_error = -error;
}

/* Ends the line whose rest was dropped, so that the next one does not continue it. 0 or a negative errno. */
static int mend(struct log_file *file)
{
    if (!file->torn)
        return 0;
    struct iovec newline = {.iov_base = (char *)"\n", .iov_len = 1};
    ssize_t taken = log_output_write(&file->output, &newline, 1);
    if (taken < 0)
        return (int)taken;
    file->torn = false;
    return 0;
}

static ssize_t write_parts(struct log_file *file, const struct batch *batch)
{
    int error = mend(file);
    return error ? error : log_output_write(&file->output, batch->parts, batch->count);
}

/* One write; false: there is nothing more, or it would have to wait. */
static bool write_batch(struct log_file *file)
{
    struct batch batch;
    size_t total = gather(file, &batch);
    if (total == 0)
        return false;
    ssize_t taken = write_parts(file, &batch);
    if (taken == -EAGAIN)
        return false;
    if (taken < 0) {
        drop(file, &batch, total, (int)taken);
        return true;
    }
    consume(file, &batch, (size_t)taken);
    file->stats.writes++;
    file->stats.bytes_written += (uint64_t)taken - file->output.bytes_refused;
    file->stats.bytes_dropped += file->output.bytes_refused;
    file->stats.lines_lost += file->output.lines_refused;
    file->output.bytes_refused = file->output.lines_refused = 0;
    return true;
}

static bool is_empty(const struct log_file *file)
{
    for (size_t i = 0; i < file->sources_count; i++)
        if (ring_waiting(&file->sources[i].ring) > 0)
            return false;
    return true;
}

/* Lets workers announce again that a ring is half full, once it is not; otherwise each of their lines
 * would. */
static void allow_hurry(struct log_file *file)
{
    for (size_t i = 0; i < file->sources_count; i++) {
        struct log_source *source = &file->sources[i];
        if (!source->hurry_ran || ring_waiting(&source->ring) > source->ring.size / 2)
            continue;
        source->hurry_ran = false;
        atomic_store_explicit(&source->hurry_sent, false, memory_order_release);
    }
}

void log_file_flush(struct log_file *file)
{
    for (int rounds = 0; rounds < ROUNDS_MAX && write_batch(file); rounds++)
        continue;
    allow_hurry(file);
    if (!timer_is_set(&file->report_timer))
        report(file);
}

/* Lets workers announce their next lines; whether any had been announced. */
static bool allow_wakes(struct log_file *file)
{
    bool any = false;
    for (size_t i = 0; i < file->sources_count; i++) {
        struct log_source *source = &file->sources[i];
        if (!source->wake_ran)
            continue;
        any = true;
        source->wake_ran = false;
        atomic_store_explicit(&source->wake_sent, false, memory_order_release);
    }
    return any;
}

static void start_flush_timer(struct log_file *file)
{
    if (!timer_is_set(&file->flush_timer))
        timer_set(file->loop, &file->flush_timer, file->loop->now_ms + file->flush_ms);
}

static void on_flush_due(struct timer *timer)
{
    struct log_file *file = CONTAINER_OF(timer, struct log_file, flush_timer);
    bool active = allow_wakes(file) || !is_empty(file);
    log_file_flush(file);
    if (active || !is_empty(file))
        start_flush_timer(file);
}

static void run_wake(struct task *task)
{
    struct log_source *source = CONTAINER_OF(task, struct log_source, wake);
    source->wake_ran = true;
    start_flush_timer(source->file);
}

static void run_hurry(struct task *task)
{
    struct log_source *source = CONTAINER_OF(task, struct log_source, hurry);
    source->hurry_ran = true;
    start_flush_timer(source->file);
    log_file_flush(source->file);
}

/* A flag is unset only after its task has run, so a task is never mailed while it is under way. */
static void mail_once(struct log_source *source, _Atomic bool *sent, struct task *task)
{
    if (atomic_load_explicit(sent, memory_order_acquire))
        return;
    atomic_store_explicit(sent, true, memory_order_relaxed);
    loop_mail(source->file->loop, task);
}

void log_source_wake(struct log_source *source)
{
    mail_once(source, &source->wake_sent, &source->wake);
    if (ring_is_half_full(&source->ring))
        mail_once(source, &source->hurry_sent, &source->hurry);
}

static char *copy(const char *from)
{
    size_t size = strlen(from) + 1;
    char *to = memory_alloc(size);
    return to ? memcpy(to, from, size) : NULL;
}

static bool init_sources(struct log_file *file, size_t count, size_t ring_size)
{
    size_t size;
    if (__builtin_mul_overflow(count, sizeof(struct log_source), &size))
        return false;
    file->sources = memory_aligned(alignof(struct log_source), size);
    for (; file->sources && file->sources_count < count; file->sources_count++) {
        struct log_source *source = &file->sources[file->sources_count];
        *source = (struct log_source){.file = file, .wake = {.run = run_wake}, .hurry = {.run = run_hurry}};
        if (!ring_init(&source->ring, ring_size))
            return false;
    }
    return file->sources;
}

static void release(struct log_file *file)
{
    for (size_t i = 0; i < file->sources_count; i++)
        ring_release(&file->sources[i].ring);
    log_output_close(&file->output);
    memory_free(file->sources);
    memory_free(file->name);
    memory_free(file->path);
    memory_free(file);
}

struct log_file *log_file_new(struct loop *loop, const struct log_file_options *options, struct error *reterr)
{
    struct log_file *file = memory_zero(sizeof *file);
    if (!file) {
        error_set(reterr, -ENOMEM, "cannot write to %s: out of memory", options->path);
        return NULL;
    }
    file->loop = loop;
    file->closed = options->closed;
    file->output.fd = -1;
    file->flush_ms = options->flush_ms > 0 ? options->flush_ms : FLUSH_MS_DEFAULT;
    file->flush_timer.on_due = on_flush_due;
    file->report_timer.on_due = on_report_due;
    file->name = copy(options->name);
    file->path = copy(options->path);
    file->ring_size = options->ring_size ? options->ring_size : RING_SIZE_DEFAULT;
    int error =
        file->name && file->path && init_sources(file, options->sources, file->ring_size) ? 0 : -ENOMEM;
    if (error)
        error_set(reterr, error, "cannot write to %s: out of memory", options->path);
    else
        error = log_output_open(&file->output, options->path, reterr);
    if (!error)
        return file;
    release(file);
    return NULL;
}

struct log_source *log_file_source(struct log_file *file, size_t source)
{
    CHECK(source < file->sources_count);
    return &file->sources[source];
}

int log_file_reopen(struct log_file *file, struct error *reterr)
{
    struct log_output opened;
    int error = log_output_open(&opened, file->path, reterr);
    if (error)
        return error;
    log_output_close(&file->output);
    file->output = opened;
    file->cut = file->torn = false;
    return 0;
}

/* Flushes until all is written or the time is over; a reader that is merely slow is waited for. */
static void flush_for(struct log_file *file, int64_t wait_ms)
{
    int64_t end_ms = time_monotonic_ns() / NS_PER_MS + wait_ms;
    for (log_file_flush(file); !is_empty(file); log_file_flush(file)) {
        int64_t left_ms = end_ms - time_monotonic_ns() / NS_PER_MS;
        if (left_ms <= 0)
            return;
        bool tells = file->output.kind
                     != LOG_OUTPUT_DATAGRAM; /* a datagram socket is ready when its receiver is not */
        struct pollfd ready = {.fd = file->output.fd, .events = POLLOUT};
        (void)poll(tells ? &ready : NULL, tells, (int)MIN_OF(left_ms, 10)); /* the next flush finds out */
    }
}

/* What is still in the rings is lost. */
static void count_left(struct log_file *file)
{
    for (size_t i = 0; i < file->sources_count; i++) {
        struct iovec parts[2];
        int count = ring_peek(&file->sources[i].ring, parts);
        for (int j = 0; j < count; j++) {
            file->stats.bytes_dropped += parts[j].iov_len;
            file->stats.lines_lost += lines_of(&parts[j]);
        }
    }
}

static void add_to_closed(const struct log_file *file)
{
    struct log_file_stats stats, *closed = file->closed;
    if (!closed)
        return;
    log_file_read_stats(file, &stats);
    closed->bytes_written += stats.bytes_written;
    closed->writes += stats.writes;
    closed->bytes_dropped += stats.bytes_dropped;
    closed->lines_lost += stats.lines_lost;
    closed->lines_dropped += stats.lines_dropped;
    closed->failures += stats.failures;
}

void log_file_free(struct log_file *file, int64_t wait_ms)
{
    if (!file)
        return;
    flush_for(file, wait_ms);
    count_left(file);
    for (size_t i = 0; i < file->sources_count; i++) {
        struct log_source *source = &file->sources[i];
        loop_unpost(file->loop, &source->wake);
        loop_unpost(file->loop, &source->hurry);
    }
    report(file);
    add_to_closed(file);
    timer_clear(file->loop, &file->flush_timer);
    timer_clear(file->loop, &file->report_timer);
    release(file);
}

size_t log_file_bytes(const struct log_file *file)
{
    return sizeof *file + file->sources_count * (sizeof(struct log_source) + file->ring_size);
}

void log_file_read_stats(const struct log_file *file, struct log_file_stats *ret_stats)
{
    *ret_stats = file->stats;
    for (size_t i = 0; i < file->sources_count; i++)
        ret_stats->lines_dropped += ring_dropped(&file->sources[i].ring);
}
