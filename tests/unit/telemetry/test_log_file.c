/* Lines from workers to files, pipes and datagrams, and what happens when those are slow, full or gone. */
#include "telemetry_test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"
#include "telemetry/log_file.h"

enum { SOURCES = 2, RING_SIZE = 4096, FLUSH_MS = 20, LINES = 20000 };

struct lab {
    struct loop loop;
    struct log_file *file;
    char folder[64], path[96];
};

static char warnings[4096];

static void keep_warning(struct text line)
{
    size_t used = strlen(warnings);
    snprintf(warnings + used, sizeof warnings - used, "%.*s", TEXT_ARGS(line));
}

static int make_lab(void **state)
{
    static struct lab lab;
    lab = (struct lab){.file = NULL};
    *state = &lab;
    warnings[0] = 0;
    log_set_sink(keep_warning);
    snprintf(lab.folder, sizeof lab.folder, "/tmp/turnpike-testXXXXXX");
    if (loop_init(&lab.loop) || !mkdtemp(lab.folder))
        return -1;
    snprintf(lab.path, sizeof lab.path, "%s/log", lab.folder);
    return 0;
}

static int drop_lab(void **state)
{
    struct lab *lab = *state;
    log_file_free(lab->file, 0);
    char moved[128];
    snprintf(moved, sizeof moved, "%s.1", lab->path);
    (void)unlink(moved); /* may not be there */
    (void)unlink(lab->path);
    (void)rmdir(lab->folder);
    log_set_sink(NULL);
    assert_int_equal(lab->loop.timers_count, 0);
    loop_release(&lab->loop);
    return 0;
}

static void open_path_with(struct lab *lab, const char *path, size_t ring_size)
{
    struct error error = {0};
    struct log_file_options options = {
        .name = "access log", .path = path, .flush_ms = FLUSH_MS, .sources = SOURCES, .ring_size = ring_size};
    lab->file = log_file_new(&lab->loop, &options, &error);
    if (!lab->file)
        fail_msg("%s", error.said);
}

static void open_path(struct lab *lab, const char *path)
{
    open_path_with(lab, path, RING_SIZE);
}

static bool put_line(struct lab *lab, size_t source, const char *line)
{
    struct log_source *to = log_file_source(lab->file, source);
    size_t size = strlen(line);
    char *room = log_source_reserve(to, size);
    if (!room)
        return false;
    memcpy(room, line, size);
    log_source_commit(to, size);
    return true;
}

static const char *contents(const char *path)
{
    static char text[8192];
    int fd = open(path, O_RDONLY);
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    text[MAX_OF(size, 0)] = 0;
    return text;
}

static struct log_file_stats stats_of(struct lab *lab)
{
    struct log_file_stats stats;
    log_file_read_stats(lab->file, &stats);
    return stats;
}

/* Turns until that many bytes are written or dropped. */
static void turn_until_handled(struct lab *lab, uint64_t bytes)
{
    int64_t end_ns = time_monotonic_ns() + 10 * NS_PER_SECOND;
    struct log_file_stats stats;
    do {
        loop_turn(&lab->loop, 100);
        stats = stats_of(lab);
    } while (stats.bytes_written + stats.bytes_dropped < bytes && time_monotonic_ns() < end_ns);
    assert_int_equal(stats.bytes_written + stats.bytes_dropped, bytes);
}

static void lines_of_all_sources_reach_the_file_in_one_write(void **state)
{
    struct lab *lab = *state;
    open_path(lab, lab->path);
    assert_true(put_line(lab, 0, "one\n") && put_line(lab, 1, "two\n") && put_line(lab, 0, "three\n"));
    assert_string_equal(contents(lab->path), ""); /* not on the worker's time */
    turn_until_handled(lab, 14);
    assert_string_equal(contents(lab->path), "one\nthree\ntwo\n");
    assert_int_equal(stats_of(lab).writes, 1);
    struct stat about;
    assert_int_equal(stat(lab->path, &about), 0);
    assert_int_equal(about.st_mode & 0137, 0);
}

static void file_is_appended_to(void **state)
{
    struct lab *lab = *state;
    int fd = open(lab->path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "old\n", 4), 4);
    close(fd);
    open_path(lab, lab->path);
    assert_true(put_line(lab, 0, "new\n"));
    log_file_flush(lab->file);
    assert_string_equal(contents(lab->path), "old\nnew\n");
}

static void idle_log_runs_no_timer(void **state)
{
    struct lab *lab = *state;
    open_path(lab, lab->path);
    assert_int_equal(lab->loop.timers_count, 0);
    for (int round = 1; round <= 3; round++) { /* each pause is left again */
        assert_true(put_line(lab, 0, "line\n"));
        turn_until_handled(lab, 5u * (unsigned)round);
        int64_t end_ns = time_monotonic_ns() + 10 * NS_PER_SECOND;
        while (lab->loop.timers_count > 0 && time_monotonic_ns() < end_ns)
            loop_turn(&lab->loop, 100);
        assert_int_equal(lab->loop.timers_count, 0);
    }
}

static void half_full_ring_is_flushed_before_the_interval(void **state)
{
    struct lab *lab = *state;
    struct error error;
    struct log_file_options options = {.name = "access log",
                                       .path = lab->path,
                                       .flush_ms = 3600000,
                                       .sources = SOURCES,
                                       .ring_size = RING_SIZE};
    lab->file = log_file_new(&lab->loop, &options, &error);
    char line[201];
    memset(line, 'x', 199);
    memcpy(line + 199, "\n", 2);
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 11; i++)
            assert_true(put_line(lab, 0, line));
        turn_until_handled(lab, 2200u * (unsigned)round);
    }
}

static void full_ring_drops_lines_and_says_so_once(void **state)
{
    struct lab *lab = *state;
    open_path(lab, lab->path);
    int kept = 0, lost = 0;
    for (int i = 0; i < 2000; i++)
        *(put_line(lab, 0, "0123456789\n") ? &kept : &lost) += 1;
    assert_true(kept > 300 && lost > 1000);
    turn_until_handled(lab, 11u * (unsigned)kept);
    assert_int_equal(stats_of(lab).lines_dropped, lost);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "lines_without_room=%d", lost);
    assert_non_null(strstr(warnings, "log lines were lost log=\"access log\""));
    assert_non_null(strstr(warnings, wanted));
    warnings[0] = 0;
    for (int i = 0; i < 2000; i++)
        (void)put_line(lab, 0, "0123456789\n"); /* more is lost, within the same minute */
    log_file_flush(lab->file);
    assert_string_equal(warnings, "");
    log_file_free(lab->file, 0);
    lab->file = NULL;
    assert_non_null(strstr(warnings, "lines_without_room=")); /* the rest is told at the end */
}

static void reopen_follows_a_moved_file(void **state)
{
    struct lab *lab = *state;
    struct error error = {0};
    char moved[128];
    snprintf(moved, sizeof moved, "%s.1", lab->path);
    open_path(lab, lab->path);
    assert_true(put_line(lab, 0, "before\n"));
    log_file_flush(lab->file);
    assert_int_equal(rename(lab->path, moved), 0);
    assert_true(put_line(lab, 0, "between\n"));
    log_file_flush(lab->file);
    assert_int_equal(log_file_reopen(lab->file, &error), 0);
    assert_true(put_line(lab, 0, "after\n"));
    log_file_flush(lab->file);
    assert_string_equal(contents(moved), "before\nbetween\n");
    assert_string_equal(contents(lab->path), "after\n");
}

static void failed_reopen_keeps_the_old_file(void **state)
{
    struct lab *lab = *state;
    struct error error = {0};
    char moved[128];
    snprintf(moved, sizeof moved, "%s.1", lab->path);
    open_path(lab, lab->path);
    assert_int_equal(rename(lab->path, moved), 0);
    assert_int_equal(mkdir(lab->path, 0700), 0);
    assert_int_equal(log_file_reopen(lab->file, &error), -EISDIR);
    assert_non_null(strstr(error.said, lab->path));
    assert_int_equal(rmdir(lab->path), 0);
    assert_true(put_line(lab, 0, "still\n"));
    log_file_flush(lab->file);
    assert_string_equal(contents(moved), "still\n");
}

static void path_that_cannot_be_opened_is_an_error(void **state)
{
    struct lab *lab = *state;
    static const char *const paths[] = {"/nonexistent/folder/log", "/", "unix-datagram:", ""};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct error error = {0};
        struct log_file_options options = {.name = "access log", .path = paths[i], .sources = 1};
        assert_null(log_file_new(&lab->loop, &options, &error));
        assert_true(error.code < 0 && strstr(error.said, "cannot write to"));
    }
    struct error error = {0};
    struct log_file_options options = {.name = "access log", .path = lab->path, .sources = 2};
    for (uint64_t nth = 1; nth <= 5; nth++) {
        memory_fail_at(nth);
        assert_null(log_file_new(&lab->loop, &options, &error));
        memory_fail_at(0);
        assert_int_equal(error.code, -ENOMEM);
    }
    log_file_free(NULL, 0);
}

/* Opens a FIFO as the log; the reading end, non-blocking. */
static int open_pipe(struct lab *lab)
{
    assert_int_equal(mkfifo(lab->path, 0600), 0);
    int reader = open(lab->path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    open_path(lab, lab->path);
    return reader;
}

static void pipe_without_a_reader_is_an_error_at_the_start(void **state)
{
    struct lab *lab = *state;
    struct error error = {0};
    struct log_file_options options = {.name = "access log", .path = lab->path, .sources = 1};
    assert_int_equal(mkfifo(lab->path, 0600), 0);
    assert_null(log_file_new(&lab->loop, &options, &error));
    assert_non_null(strstr(error.said, "nobody reads from this pipe"));
}

static void slow_reader_gets_all_whole_lines_in_the_end(void **state)
{
    struct lab *lab = *state;
    int reader = open_pipe(lab);
    char line[64], got[8192], last = '\n';
    uint64_t put = 0, received = 0;
    for (int i = 0; i < 3000; i++) {
        snprintf(line, sizeof line, "%d of source %d, padded a little\n", i, i % SOURCES);
        while (!put_line(lab, (size_t)(i % SOURCES), line)) { /* the pipe is full: read some */
            log_file_flush(lab->file);
            ssize_t size = read(reader, got, 1000);
            for (ssize_t j = 0; j < size; last = got[j++])
                assert_true(last != '\n' || (got[j] >= '0' && got[j] <= '9')); /* no line is cut */
            received += (uint64_t)MAX_OF(size, 0);
        }
        put += strlen(line);
    }
    int64_t end_ns = time_monotonic_ns() + 10 * NS_PER_SECOND;
    while (received < put && time_monotonic_ns() < end_ns) {
        log_file_flush(lab->file);
        ssize_t size = read(reader, got, sizeof got);
        for (ssize_t j = 0; j < size; last = got[j++])
            assert_true(last != '\n' || (got[j] >= '0' && got[j] <= '9'));
        received += (uint64_t)MAX_OF(size, 0);
    }
    assert_int_equal(received, put);
    assert_int_equal(stats_of(lab).bytes_dropped, 0);
    close(reader);
}

static void reader_that_left_costs_the_lines_but_nothing_else(void **state)
{
    struct lab *lab = *state;
    int reader = open_pipe(lab);
    close(reader);
    assert_true(put_line(lab, 0, "lost\n") && put_line(lab, 1, "lost too\n"));
    turn_until_handled(lab, 14);
    struct log_file_stats stats = stats_of(lab);
    assert_int_equal(stats.bytes_dropped, 14);
    assert_int_equal(stats.lines_lost, 2);
    assert_int_equal(stats.failures, 1);
    assert_non_null(strstr(warnings, "bytes_not_written=14"));
    assert_non_null(strstr(warnings, "Broken pipe"));
    reader = open(lab->path, O_RDONLY | O_NONBLOCK);
    assert_true(put_line(lab, 0, "heard\n")); /* it works again by itself */
    log_file_flush(lab->file);
    char got[64];
    assert_int_equal(read(reader, got, sizeof got), 6);
    close(reader);
}

static void full_disk_drops_and_the_next_line_begins_afresh(void **state)
{
    struct lab *lab = *state;
    if (access("/dev/full", W_OK))
        skip();
    open_path(lab, "/dev/full");
    assert_true(put_line(lab, 0, "lost\n"));
    turn_until_handled(lab, 5);
    assert_int_equal(stats_of(lab).bytes_dropped, 5);
    assert_non_null(strstr(warnings, "No space left on device"));
}

static void line_cut_by_a_failure_is_ended(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(mkfifo(lab->path, 0600), 0);
    int reader = open(lab->path, O_RDONLY | O_NONBLOCK);
    open_path_with(lab, lab->path, 1 << 17); /* larger than the pipe */
    char line[201], got[65536];
    memset(line, 'x', 199);
    memcpy(line + 199, "\n", 2);
    ssize_t size, tail = 0;
    while (put_line(lab, 0, line))
        continue;
    log_file_flush(lab->file);
    assert_int_not_equal(stats_of(lab).bytes_written % 200, 0); /* the full pipe has taken a part of a line */
    while ((size = read(reader, got, sizeof got)) > 0)
        tail = size;
    assert_true(tail > 0);
    close(reader);
    log_file_flush(lab->file); /* fails: the rest of the line is lost */
    reader = open(lab->path, O_RDONLY | O_NONBLOCK);
    assert_true(put_line(lab, 1, "fresh\n"));
    log_file_flush(lab->file);
    size = read(reader, got, sizeof got);
    assert_int_equal(size, 7);
    assert_memory_equal(got, "\nfresh\n", 7);
    close(reader);
}

static int bind_datagram(struct lab *lab)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", lab->path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void datagrams_are_lines_without_their_newlines(void **state)
{
    struct lab *lab = *state;
    int receiver = bind_datagram(lab);
    char path[128], got[64];
    snprintf(path, sizeof path, "unix-datagram:%s", lab->path);
    open_path(lab, path);
    assert_true(put_line(lab, 0, "one\n") && put_line(lab, 0, "second\n") && put_line(lab, 1, "3\n"));
    log_file_flush(lab->file);
    static const char *const wanted[] = {"one", "second", "3"};
    for (int i = 0; i < 3; i++) {
        ssize_t size = recv(receiver, got, sizeof got, 0);
        assert_int_equal(size, strlen(wanted[i]));
        assert_memory_equal(got, wanted[i], (size_t)size);
    }
    assert_int_equal(stats_of(lab).bytes_written, 13);
    close(receiver);
}

static void receiver_of_datagrams_may_come_and_go(void **state)
{
    struct lab *lab = *state;
    char path[128], got[64];
    snprintf(path, sizeof path, "unix-datagram:%s", lab->path);
    open_path(lab, path);
    assert_true(put_line(lab, 0, "nobody\n"));
    log_file_flush(lab->file);
    assert_int_equal(stats_of(lab).bytes_dropped, 7);
    int receiver = bind_datagram(lab);
    assert_true(put_line(lab, 0, "somebody\n"));
    log_file_flush(lab->file);
    assert_int_equal(recv(receiver, got, sizeof got, 0), 8);
    close(receiver);
}

static void busy_receiver_of_datagrams_loses_nothing(void **state)
{
    struct lab *lab = *state;
    int receiver = bind_datagram(lab);
    char path[128], got[64];
    snprintf(path, sizeof path, "unix-datagram:%s", lab->path);
    open_path(lab, path);
    int received = 0, put = 0;
    int64_t end_ns = time_monotonic_ns() + 10 * NS_PER_SECOND;
    while (received < 500 && time_monotonic_ns() < end_ns) {
        while (put < 500 && put_line(lab, 0, "datagram\n"))
            put++;
        log_file_flush(lab->file);
        received += recv(receiver, got, sizeof got, 0) == 8;
    }
    assert_int_equal(received, 500);
    assert_int_equal(stats_of(lab).bytes_dropped, 0);
    close(receiver);
}

static void free_writes_what_is_left(void **state)
{
    struct lab *lab = *state;
    open_path(lab, lab->path);
    assert_true(put_line(lab, 0, "last\n"));
    log_file_free(lab->file, 1000);
    lab->file = NULL;
    loop_turn(&lab->loop, 0); /* the wake that was mailed is taken back */
    assert_string_equal(contents(lab->path), "last\n");
    assert_string_equal(warnings, "");
}

static void free_gives_up_on_a_reader_that_hangs(void **state)
{
    struct lab *lab = *state;
    int reader = open_pipe(lab);
    char line[201];
    memset(line, 'x', 199);
    memcpy(line + 199, "\n", 2);
    while (put_line(lab, 0, line))
        log_file_flush(lab->file);
    log_file_free(lab->file, 30);
    lab->file = NULL;
    assert_non_null(strstr(warnings, "bytes_not_written="));
    close(reader);
}

/* Standard output for the time of a test. */
static void write_to_standard_output(struct lab *lab, int replacement)
{
    (void)fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    assert_int_equal(dup2(replacement, STDOUT_FILENO), STDOUT_FILENO);
    open_path(lab, "stdout");
    bool put = put_line(lab, 0, "to stdout\n");
    log_file_flush(lab->file);
    bool blocking = !(fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK);
    (void)dup2(kept, STDOUT_FILENO);
    close(kept);
    assert_true(put && blocking);
}

static void standard_output_may_be_a_pipe_a_socket_or_a_file(void **state)
{
    struct lab *lab = *state;
    int ends[2][2];
    char got[64];
    assert_int_equal(pipe(ends[0]), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[1]), 0);
    for (int i = 0; i < 2; i++) {
        write_to_standard_output(lab, ends[i][1]);
        assert_int_equal(read(ends[i][0], got, sizeof got), 10);
        assert_memory_equal(got, "to stdout\n", 10);
        log_file_free(lab->file, 0);
        close(ends[i][0]);
        close(ends[i][1]);
    }
    int file = open(lab->path, O_CREAT | O_WRONLY, 0600);
    write_to_standard_output(lab, file);
    close(file);
    assert_string_equal(contents(lab->path), "to stdout\n");
}

struct producer {
    struct log_source *source;
    size_t number;
    uint64_t bytes;
};

static void *produce(void *argument)
{
    struct producer *producer = argument;
    for (int i = 0; i < LINES;) {
        char *room = log_source_reserve(producer->source, 64);
        if (!room) {
            sched_yield();
            continue;
        }
        size_t size = (size_t)snprintf(room, 64, "%zu %d\n", producer->number, i++);
        producer->bytes += size;
        log_source_commit(producer->source, size);
    }
    return NULL;
}

static void workers_log_while_the_control_thread_writes(void **state)
{
    struct lab *lab = *state;
    open_path(lab, lab->path);
    struct producer producers[SOURCES];
    pthread_t threads[SOURCES];
    for (size_t i = 0; i < SOURCES; i++) {
        producers[i] = (struct producer){.source = log_file_source(lab->file, i), .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    uint64_t written = 0, total = 0;
    int64_t end_ns = time_monotonic_ns() + 60 * NS_PER_SECOND;
    uint64_t wanted = 0; /* both write the same numbers with a prefix of two bytes */
    for (int i = 0; i < LINES; i++)
        wanted += SOURCES * (3 + (i >= 10) + (i >= 100) + (i >= 1000) + (i >= 10000) + 1u);
    while (written < wanted && time_monotonic_ns() < end_ns) {
        loop_turn(&lab->loop, 100);
        written = stats_of(lab).bytes_written;
    }
    for (size_t i = 0; i < SOURCES; i++) {
        pthread_join(threads[i], NULL);
        total += producers[i].bytes;
    }
    assert_int_equal(written, total);
    FILE *file = fopen(lab->path, "r");
    int next[SOURCES] = {0}, source, number;
    while (fscanf(file, "%d %d\n", &source, &number) == 2) {
        assert_true(source >= 0 && source < SOURCES);
        assert_int_equal(number, next[source]++);
    }
    fclose(file);
    for (size_t i = 0; i < SOURCES; i++)
        assert_int_equal(next[i], LINES);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, make_lab, drop_lab)
    const struct CMUnitTest tests[] = {
        LOG_TEST(lines_of_all_sources_reach_the_file_in_one_write),
        LOG_TEST(file_is_appended_to),
        LOG_TEST(idle_log_runs_no_timer),
        LOG_TEST(half_full_ring_is_flushed_before_the_interval),
        LOG_TEST(full_ring_drops_lines_and_says_so_once),
        LOG_TEST(reopen_follows_a_moved_file),
        LOG_TEST(failed_reopen_keeps_the_old_file),
        LOG_TEST(path_that_cannot_be_opened_is_an_error),
        LOG_TEST(pipe_without_a_reader_is_an_error_at_the_start),
        LOG_TEST(slow_reader_gets_all_whole_lines_in_the_end),
        LOG_TEST(reader_that_left_costs_the_lines_but_nothing_else),
        LOG_TEST(full_disk_drops_and_the_next_line_begins_afresh),
        LOG_TEST(line_cut_by_a_failure_is_ended),
        LOG_TEST(datagrams_are_lines_without_their_newlines),
        LOG_TEST(receiver_of_datagrams_may_come_and_go),
        LOG_TEST(busy_receiver_of_datagrams_loses_nothing),
        LOG_TEST(free_writes_what_is_left),
        LOG_TEST(free_gives_up_on_a_reader_that_hangs),
        LOG_TEST(standard_output_may_be_a_pipe_a_socket_or_a_file),
        LOG_TEST(workers_log_while_the_control_thread_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
