/* The byte ring, alone and between two threads. */
#include "telemetry_test.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"
#include "telemetry/ring.h"

enum { SIZE = 4096, LINES = 200000 };

static int make_ring(void **state)
{
    static struct ring ring;
    *state = &ring;
    return ring_init(&ring, SIZE) ? 0 : -1;
}

static int drop_ring(void **state)
{
    ring_release(*state);
    return 0;
}

static bool put(struct ring *ring, char c, size_t size)
{
    char *room = ring_reserve(ring, size);
    if (!room)
        return false;
    memset(room, c, size);
    ring_commit(ring, size);
    return true;
}

/* What is there, as runs of equal bytes: "a3b2". Consumes it. */
static const char *take(struct ring *ring)
{
    static char runs[256];
    struct iovec parts[2];
    int count = ring_peek(ring, parts);
    size_t total = 0, at = 0, run = 0;
    char last = 0;
    for (int i = 0; i < count; i++) {
        for (size_t j = 0; j < parts[i].iov_len; j++, total++) {
            char c = ((char *)parts[i].iov_base)[j];
            if (c != last && last)
                at += (size_t)snprintf(runs + at, sizeof runs - at, "%c%zu", last, run);
            run = c == last ? run + 1 : 1;
            last = c;
        }
    }
    if (last)
        at += (size_t)snprintf(runs + at, sizeof runs - at, "%c%zu", last, run);
    runs[at] = 0;
    ring_consume(ring, total);
    return runs;
}

static void what_is_committed_is_peeked(void **state)
{
    struct ring *ring = *state;
    struct iovec parts[2];
    assert_int_equal(ring_peek(ring, parts), 0);
    assert_true(put(ring, 'a', 3) && put(ring, 'b', 2));
    assert_int_equal(ring_waiting(ring), 5);
    assert_string_equal(take(ring), "a3b2");
    assert_int_equal(ring_peek(ring, parts), 0);
    assert_int_equal(ring_waiting(ring), 0);
}

static void less_than_reserved_may_be_committed(void **state)
{
    struct ring *ring = *state;
    char *room = ring_reserve(ring, 1000);
    memset(room, 'a', 1000);
    ring_commit(ring, 10);
    assert_true(put(ring, 'b', 1));
    assert_string_equal(take(ring), "a10b1");
}

static void room_that_is_not_committed_is_not_seen(void **state)
{
    struct ring *ring = *state;
    assert_true(put(ring, 'x', 2000));
    assert_non_null(ring_reserve(ring, 2000));
    assert_string_equal(take(ring), "x2000");
    assert_non_null(ring_reserve(ring, 2000)); /* would wrap next time */
    ring_commit(ring, 0);
    assert_true(put(ring, 'y', 5));
    assert_string_equal(take(ring), "y5");
}

static void end_of_the_ring_is_skipped_when_too_near(void **state)
{
    struct ring *ring = *state;
    assert_true(put(ring, 'a', 2000) && put(ring, 'b', 2000));
    assert_string_equal(take(ring), "a2000b2000");
    assert_true(put(ring, 'c', 50)); /* fits the last 96 bytes */
    assert_true(put(ring, 'd', 100));
    struct iovec parts[2];
    assert_int_equal(ring_peek(ring, parts), 2);
    assert_int_equal(parts[0].iov_len, 50);
    assert_int_equal(parts[1].iov_len, 100);
    assert_string_equal(take(ring), "c50d100");
    assert_true(put(ring, 'e', 1));
    assert_string_equal(take(ring), "e1");
}

static void exact_fit_at_the_end_skips_nothing(void **state)
{
    struct ring *ring = *state;
    assert_true(put(ring, 'a', 2048) && put(ring, 'b', 2048));
    assert_null(ring_reserve(ring, 1));
    assert_string_equal(take(ring), "a2048b2048");
    assert_true(put(ring, 'c', 2048));
    assert_string_equal(take(ring), "c2048");
}

static void partly_consumed_parts_go_on_where_they_stopped(void **state)
{
    struct ring *ring = *state;
    assert_true(put(ring, 'a', 2040) && put(ring, 'b', 2040));
    assert_string_equal(take(ring), "a2040b2040");
    assert_true(put(ring, 'c', 10) && put(ring, 'd', 10)); /* 'd' begins the next lap, 6 bytes are skipped */
    ring_consume(ring, 7);
    struct iovec parts[2];
    assert_int_equal(ring_peek(ring, parts), 2);
    assert_int_equal(parts[0].iov_len, 3);
    ring_consume(ring, 3);
    assert_string_equal(take(ring), "d10");
}

static void full_ring_refuses_and_counts(void **state)
{
    struct ring *ring = *state;
    assert_true(put(ring, 'a', 2048) && put(ring, 'b', 2000));
    assert_false(put(ring, 'c', 49));
    assert_false(put(ring, 'c', 2048));
    assert_int_equal(ring_dropped(ring), 2);
    ring_consume(ring, 48);
    assert_false(put(ring, 'c', 49)); /* 48 bytes at the end, 48 at the front: none of them is room for 49 */
    ring_consume(ring, 1);
    assert_true(put(ring, 'c', 49));
    assert_string_equal(take(ring), "a1999b2000c49");
}

static void half_full_is_told(void **state)
{
    struct ring *ring = *state;
    assert_true(put(ring, 'a', 2048));
    assert_false(ring_is_half_full(ring));
    assert_true(put(ring, 'b', 1));
    assert_true(ring_is_half_full(ring));
    (void)take(ring);
    assert_false(ring_is_half_full(ring));
}

static void any_sequence_of_sizes_keeps_all_bytes_in_order(void **state)
{
    struct ring *ring = *state;
    random_seed(9);
    uint64_t written = 0, read = 0;
    for (int i = 0; i < 100000; i++) {
        size_t size = 1 + random_below(random_below(4) ? 60 : SIZE / 2);
        char *room = random_below(2) ? ring_reserve(ring, size) : NULL;
        for (size_t j = 0; room && j < size; j++)
            room[j] = (char)(written++ * 167 >> 2);
        if (room)
            ring_commit(ring, size);
        struct iovec parts[2];
        int count = random_below(2) ? ring_peek(ring, parts) : 0;
        size_t taken = 0, limit = random_below(3) ? SIZE : random_below(SIZE);
        for (int p = 0; p < count; p++)
            for (size_t j = 0; j < parts[p].iov_len && taken < limit; j++, taken++)
                assert_int_equal(((char *)parts[p].iov_base)[j], (char)(read++ * 167 >> 2));
        ring_consume(ring, taken);
    }
    assert_true(written > 1000000 && written - read <= SIZE);
}

/* Numbered lines of changing sizes. */
static void *produce(void *argument)
{
    struct ring *ring = argument;
    for (uint64_t i = 0; i < LINES;) {
        size_t size = 8 + i * 7 % 200;
        char *room = ring_reserve(ring, 256);
        if (!room) {
            sched_yield();
            continue;
        }
        memcpy(room, &i, sizeof i);
        memset(room + 8, (char)i, size - 8);
        ring_commit(ring, size);
        (void)ring_is_half_full(ring); /* reads what the other side writes */
        i++;
    }
    return NULL;
}

/* Checks the whole lines of a part, which are never split by the end of the ring; how many bytes. */
static size_t check_lines(const char *at, size_t size, uint64_t *next)
{
    size_t checked = 0;
    while (checked < size) {
        uint64_t number;
        memcpy(&number, at + checked, sizeof number);
        assert_int_equal(number, *next);
        size_t line = 8 + number * 7 % 200;
        assert_true(checked + line <= size);
        for (size_t i = 8; i < line; i++)
            assert_int_equal(at[checked + i], (char)number);
        checked += line;
        ++*next;
    }
    return checked;
}

static void producer_and_consumer_agree_across_threads(void **state)
{
    struct ring *ring = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, produce, ring), 0);
    uint64_t next = 0;
    while (next < LINES) {
        struct iovec parts[2];
        int count = ring_peek(ring, parts);
        size_t taken = 0;
        for (int i = 0; i < count; i++)
            taken += check_lines(parts[i].iov_base, parts[i].iov_len, &next);
        ring_consume(ring, taken);
        if (!count)
            sched_yield();
    }
    pthread_join(thread, NULL);
    assert_int_equal(ring_waiting(ring), 0);
}

static void no_memory_is_told(void **state)
{
    (void)state;
    static struct ring ring; /* not on the stack: it is aligned to cache lines */
    memory_fail_at(1);
    assert_false(ring_init(&ring, SIZE));
    memory_fail_at(0);
}

int main(void)
{
#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, make_ring, drop_ring)
    const struct CMUnitTest tests[] = {
        RING_TEST(what_is_committed_is_peeked),
        RING_TEST(less_than_reserved_may_be_committed),
        RING_TEST(room_that_is_not_committed_is_not_seen),
        RING_TEST(end_of_the_ring_is_skipped_when_too_near),
        RING_TEST(exact_fit_at_the_end_skips_nothing),
        RING_TEST(partly_consumed_parts_go_on_where_they_stopped),
        RING_TEST(full_ring_refuses_and_counts),
        RING_TEST(half_full_is_told),
        RING_TEST(any_sequence_of_sizes_keeps_all_bytes_in_order),
        RING_TEST(producer_and_consumer_agree_across_threads),
        cmocka_unit_test(no_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
