/* Readiness, tasks, mail from other threads, and what callbacks may do to each other. */
#include "net_test.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"

enum { THREADS = 4, MAILS = 5000 };

static int make_loop(void **state)
{
    static struct loop loop;
    *state = &loop;
    return loop_init(&loop);
}

static int release_loop(void **state)
{
    loop_release(*state);
    return 0;
}

struct probe {
    struct watch watch;
    struct loop *loop;
    int other; /* the peer's descriptor */
    int calls;
    uint32_t events;
    struct probe *victim;
};

static void count_event(struct watch *watch, uint32_t events)
{
    struct probe *probe = CONTAINER_OF(watch, struct probe, watch);
    probe->calls++;
    probe->events |= events;
}

static void make_probe(struct loop *loop, struct probe *probe, void (*on_ready)(struct watch *, uint32_t))
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    *probe = (struct probe){.watch = {.fd = pair[0], .on_ready = on_ready}, .loop = loop, .other = pair[1]};
    assert_int_equal(loop_add(loop, &probe->watch, EPOLLIN | EPOLLRDHUP | EPOLLET), 0);
}

static void drop_probe(struct probe *probe)
{
    if (probe->watch.fd >= 0)
        close(probe->watch.fd);
    close(probe->other);
}

static void event_is_delivered_once_per_edge(void **state)
{
    struct loop *loop = *state;
    struct probe probe;
    make_probe(loop, &probe, count_event);
    loop_turn(loop, 0);
    assert_int_equal(probe.calls, 0);
    assert_int_equal(write(probe.other, "x", 1), 1);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    assert_int_equal(probe.calls, 1);
    assert_int_equal(write(probe.other, "x", 1), 1);
    loop_turn(loop, 0);
    assert_int_equal(probe.calls, 2);
    assert_int_equal(probe.events, EPOLLIN);
    drop_probe(&probe);
}

static void changed_watch_gets_the_new_events(void **state)
{
    struct loop *loop = *state;
    struct probe probe;
    make_probe(loop, &probe, count_event);
    assert_int_equal(loop_change(loop, &probe.watch, EPOLLOUT), 0);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    assert_int_equal(probe.calls, 2); /* level-triggered now */
    assert_int_equal(probe.events, EPOLLOUT);
    drop_probe(&probe);
}

static void adding_a_bad_descriptor_fails(void **state)
{
    struct watch watch = {.fd = -1, .on_ready = count_event};
    assert_int_equal(loop_add(*state, &watch, EPOLLIN), -EBADF);
}

static struct probe *last_alive;

static void remove_victim(struct watch *watch, uint32_t events)
{
    struct probe *probe = CONTAINER_OF(watch, struct probe, watch);
    count_event(watch, events);
    struct probe *victim = probe->victim;
    if (!victim)
        return;
    probe->victim = victim->victim = NULL;
    last_alive = probe;
    loop_remove(probe->loop, &victim->watch);
    drop_probe(victim);
    memory_free(victim); /* a later event of this batch must not name it: AddressSanitizer would see */
}

static void removed_watch_gets_no_event_of_the_same_batch(void **state)
{
    struct loop *loop = *state;
    struct probe *a = memory_alloc(sizeof *a), *b = memory_alloc(sizeof *b);
    make_probe(loop, a, remove_victim);
    make_probe(loop, b, remove_victim);
    a->victim = b;
    b->victim = a;
    assert_int_equal(write(a->other, "x", 1), 1);
    assert_int_equal(write(b->other, "x", 1), 1);
    uint64_t before = loop->events;
    loop_turn(loop, 0);
    assert_int_equal(loop->events - before, 2); /* the first to run removes the other, whichever it is */
    loop_turn(loop, 0);
    assert_int_equal(loop->events - before, 2);
    drop_probe(last_alive);
    memory_free(last_alive);
}

static void close_victim(struct watch *watch, uint32_t events)
{
    struct probe *probe = CONTAINER_OF(watch, struct probe, watch);
    count_event(watch, events);
    if (probe->victim->watch.fd >= 0 && probe->watch.fd >= 0) {
        close(probe->victim->watch.fd);
        probe->victim->watch.fd = -1;
    }
}

static void watch_with_a_negative_fd_gets_no_event(void **state)
{
    struct loop *loop = *state;
    struct probe a, b;
    make_probe(loop, &a, close_victim);
    make_probe(loop, &b, close_victim);
    a.victim = &b;
    b.victim = &a;
    assert_int_equal(write(a.other, "x", 1), 1);
    assert_int_equal(write(b.other, "x", 1), 1);
    loop_turn(loop, 0);
    assert_int_equal(a.calls + b.calls, 1);
    drop_probe(&a);
    drop_probe(&b);
}

struct counted_task {
    struct task task;
    struct loop *loop;
    int runs, again;
};

static void run_counted(struct task *task)
{
    struct counted_task *t = CONTAINER_OF(task, struct counted_task, task);
    t->runs++;
    if (t->again-- > 0)
        loop_post(t->loop, task);
}

static void posted_tasks_run_in_the_same_turn_also_those_posted_by_tasks(void **state)
{
    struct counted_task t = {.task = {.run = run_counted}, .loop = *state, .again = 3};
    loop_post(t.loop, &t.task);
    loop_turn(t.loop, -1);
    assert_int_equal(t.runs, 4);
}

static void endless_task_neither_blocks_the_loop_nor_lets_it_sleep(void **state)
{
    struct counted_task t = {.task = {.run = run_counted}, .loop = *state, .again = INT32_MAX};
    loop_post(t.loop, &t.task);
    loop_turn(t.loop, -1);
    assert_int_equal(t.runs, LOOP_TASKS_BUDGET);
    loop_turn(t.loop, -1); /* would hang here if it slept */
    assert_int_equal(t.runs, 2 * LOOP_TASKS_BUDGET);
    assert_true(loop_unpost(t.loop, &t.task));
}

static void unposted_task_does_not_run_and_the_others_do(void **state)
{
    struct loop *loop = *state;
    struct counted_task t[4];
    for (int i = 0; i < 4; i++)
        t[i] = (struct counted_task){.task = {.run = run_counted}, .loop = loop};
    for (int i = 0; i < 3; i++)
        loop_post(loop, &t[i].task);
    loop_mail(loop, &t[3].task);
    assert_true(loop_unpost(loop, &t[1].task));
    assert_true(loop_unpost(loop, &t[3].task));
    assert_false(loop_unpost(loop, &t[3].task));
    loop_post(loop, &t[3].task); /* the end of the queue is still right */
    loop_turn(loop, 0);
    int wanted[] = {1, 0, 1, 1};
    for (int i = 0; i < 4; i++)
        assert_int_equal(t[i].runs, wanted[i]);
}

struct sender {
    struct loop *loop;
    struct letter {
        struct task task;
        struct sender *sender;
        int number;
    } letters[MAILS];
    int received;
    int *total;
};

static void receive(struct task *task)
{
    struct letter *letter = CONTAINER_OF(task, struct letter, task);
    assert_int_equal(letter->number, letter->sender->received); /* in order, and once */
    letter->sender->received++;
    if (++*letter->sender->total == THREADS * MAILS)
        loop_stop(letter->sender->loop);
}

static void *send_all(void *argument)
{
    struct sender *sender = argument;
    for (int i = 0; i < MAILS; i++) {
        sender->letters[i] = (struct letter){.task = {.run = receive}, .sender = sender, .number = i};
        loop_mail(sender->loop, &sender->letters[i].task);
    }
    return NULL;
}

static void mail_of_threads_arrives_in_order_and_once(void **state)
{
    struct loop *loop = *state;
    static struct sender senders[THREADS];
    pthread_t threads[THREADS];
    int total = 0;
    for (int i = 0; i < THREADS; i++) {
        senders[i].loop = loop;
        senders[i].total = &total;
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    loop_run(loop);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(total, THREADS * MAILS);
}

static void stopped_loop_makes_one_turn_and_can_run_again(void **state)
{
    struct loop *loop = *state;
    for (uint64_t turn = 1; turn < 3; turn++) {
        loop_stop(loop);
        loop_run(loop);
        assert_int_equal(loop->turns, turn);
    }
}

struct alarm {
    struct timer timer;
    struct loop *loop;
    bool rang;
};

static void ring(struct timer *timer)
{
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);
    assert_true(alarm->loop->now_ms >= timer->due_ms);
    alarm->rang = true;
}

static void loop_sleeps_until_the_timer_and_no_longer(void **state)
{
    struct loop *loop = *state;
    struct alarm alarm = {.timer = {.on_due = ring}, .loop = loop};
    timer_set(loop, &alarm.timer, loop->now_ms + 30);
    turn_until(loop, &alarm.rang);
    assert_true(loop->turns <= 3); /* it does not spin */
}

static void clocks_agree_with_the_system(void **state)
{
    struct loop *loop = *state;
    int64_t before_ns = time_monotonic_ns(), wall_ns = time_wall_ns();
    loop_turn(loop, 0);
    assert_true(loop->now_ns >= before_ns && loop->now_ns <= time_monotonic_ns());
    assert_int_equal(loop->now_ms, loop->now_ns / NS_PER_MS);
    int64_t apart_ns = loop->wall_ns - wall_ns;
    assert_true(apart_ns > -NS_PER_SECOND && apart_ns < 10 * NS_PER_SECOND);
}

static int flushes;

static void count_flush(struct loop *loop)
{
    (void)loop;
    flushes++;
}

static void before_wait_runs_once_a_turn(void **state)
{
    struct loop *loop = *state;
    loop->before_wait = count_flush;
    flushes = 0;
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    assert_int_equal(flushes, 2);
}

static void free_itself(struct task *task)
{
    struct counted_task *t = CONTAINER_OF(task, struct counted_task, task);
    loop_defer_free(t->loop, t);
    t->runs++; /* still ours until the end of the turn */
}

static void deferred_block_lives_to_the_end_of_the_turn(void **state)
{
    struct loop *loop = *state;
    for (int i = 0; i < 3; i++) {
        struct counted_task *t = memory_zero(sizeof *t);
        t->task.run = free_itself;
        t->loop = loop;
        loop_post(loop, &t->task);
    }
    loop_defer_free(loop, NULL);
    loop_turn(loop, 0);
    assert_null(loop->graveyard);
}

static void be_slow(struct task *task)
{
    (void)task;
    for (int64_t end_ns = time_monotonic_ns() + 3 * NS_PER_MS; time_monotonic_ns() < end_ns;)
        continue;
}

static void lag_is_the_longest_turn_without_the_wait(void **state)
{
    struct loop *loop = *state;
    struct task slow = {.run = be_slow};
    loop_post(loop, &slow);
    loop_turn(loop, 0);
    assert_true(loop->lag_ns_max >= 3 * NS_PER_MS);
    struct alarm alarm = {.timer = {.on_due = ring}, .loop = loop};
    timer_set(loop, &alarm.timer, loop->now_ms + 500);
    loop->lag_ns_max = 0;
    turn_until(loop, &alarm.rang);
    assert_true(loop->lag_ns_max < 400 * NS_PER_MS);
}

int main(void)
{
#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, make_loop, release_loop)
    const struct CMUnitTest tests[] = {
        LOOP_TEST(event_is_delivered_once_per_edge),
        LOOP_TEST(changed_watch_gets_the_new_events),
        LOOP_TEST(adding_a_bad_descriptor_fails),
        LOOP_TEST(removed_watch_gets_no_event_of_the_same_batch),
        LOOP_TEST(watch_with_a_negative_fd_gets_no_event),
        LOOP_TEST(posted_tasks_run_in_the_same_turn_also_those_posted_by_tasks),
        LOOP_TEST(endless_task_neither_blocks_the_loop_nor_lets_it_sleep),
        LOOP_TEST(unposted_task_does_not_run_and_the_others_do),
        LOOP_TEST(mail_of_threads_arrives_in_order_and_once),
        LOOP_TEST(stopped_loop_makes_one_turn_and_can_run_again),
        LOOP_TEST(loop_sleeps_until_the_timer_and_no_longer),
        LOOP_TEST(clocks_agree_with_the_system),
        LOOP_TEST(before_wait_runs_once_a_turn),
        LOOP_TEST(deferred_block_lives_to_the_end_of_the_turn),
        LOOP_TEST(lag_is_the_longest_turn_without_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
