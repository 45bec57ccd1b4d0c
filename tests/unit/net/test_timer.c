/* The timing wheel against a plain array of timers, in virtual time. */
#include "net_test.h"

#include "base/check.h"
#include "base/random.h"
#include "net/timer.h"

enum { TIMERS = 300, STEPS = 4000 };

struct clock {
    struct loop loop;
    int64_t fired_ms[TIMERS]; /* -1: not yet */
    struct timer timers[TIMERS];
    bool set[TIMERS];
    int fired;
};

static struct clock *clock_now;

static void note(struct timer *timer)
{
    size_t i = (size_t)(timer - clock_now->timers);
    assert_true(clock_now->set[i]);
    assert_false(timer_is_set(timer));
    clock_now->set[i] = false;
    clock_now->fired_ms[i] = clock_now->loop.now_ms;
    clock_now->fired++;
    assert_true(clock_now->loop.now_ms >= timer->due_ms);
}

static int make_clock(void **state)
{
    static struct clock clock;
    clock = (struct clock){.loop = {.now_ms = 1000003}};
    wheel_init(&clock.loop);
    for (int i = 0; i < TIMERS; i++) {
        clock.timers[i].on_due = note;
        clock.fired_ms[i] = -1;
    }
    clock_now = *state = &clock;
    return 0;
}

static void set(struct clock *clock, int i, int64_t due_ms)
{
    timer_set(&clock->loop, &clock->timers[i], due_ms);
    clock->set[i] = true;
}

static void go_to(struct clock *clock, int64_t now_ms)
{
    clock->loop.now_ms = now_ms;
    wheel_run(&clock->loop);
}

static void zeroed_timer_is_not_set(void **state)
{
    struct clock *clock = *state;
    struct timer timer = {0};
    assert_false(timer_is_set(&timer));
    timer_clear(&clock->loop, &timer);
    assert_int_equal(wheel_next_ms(&clock->loop), -1);
}

static void fires_once_and_not_before_its_time(void **state)
{
    struct clock *clock = *state;
    int64_t due_ms = clock->loop.now_ms + 100;
    set(clock, 0, due_ms);
    go_to(clock, due_ms - 1);
    assert_int_equal(clock->fired, 0);
    go_to(clock, due_ms + LOOP_TICK_MS);
    assert_int_equal(clock->fired, 1);
    go_to(clock, due_ms + 100000);
    assert_int_equal(clock->fired, 1);
}

static void fires_within_a_tick_at_every_distance(void **state)
{
    struct clock *clock = *state;
    for (int64_t distance = 1; distance < 1ll << 40; distance = distance * 3 / 2 + 1) {
        int64_t start_ms = clock->loop.now_ms;
        set(clock, 0, start_ms + distance);
        int64_t wait_ms;
        for (int wakes = 0; (wait_ms = wheel_next_ms(&clock->loop)) >= 0; wakes++) {
            assert_true(wait_ms > clock->loop.now_ms - LOOP_TICK_MS);
            assert_true(wakes < 600); /* no busy waiting on the way down */
            go_to(clock, wait_ms);
        }
        int64_t late_ms = clock->fired_ms[0] - (start_ms + distance);
        assert_true(late_ms >= 0 && late_ms <= LOOP_TICK_MS);
    }
}

static void next_is_soon_enough_for_all_when_random(void **state)
{
    struct clock *clock = *state;
    random_seed(7);
    for (int step = 0; step < STEPS; step++) {
        int i = (int)random_below(TIMERS);
        uint64_t what = random_below(10);
        if (what < 6)
            set(clock, i, clock->loop.now_ms + (int64_t)random_below(1ull << random_below(34)));
        else if (what < 8) {
            timer_clear(&clock->loop, &clock->timers[i]);
            clock->set[i] = false;
        } else if (what < 9) {
            go_to(clock, clock->loop.now_ms + (int64_t)random_below(1ull << random_below(20)));
        } else if (wheel_next_ms(&clock->loop) >= 0) {
            go_to(clock, wheel_next_ms(&clock->loop));
        }
        uint64_t count = 0;
        for (int j = 0; j < TIMERS; j++) {
            assert_int_equal(clock->set[j], timer_is_set(&clock->timers[j]));
            count += clock->set[j];
            if (!clock->set[j])
                continue;
            assert_true(clock->timers[j].due_ms
                        > clock->loop.now_ms - 2 * LOOP_TICK_MS); /* none is forgotten */
            int64_t last_ms = MAX_OF(clock->timers[j].due_ms, clock->loop.now_ms) + 2 * LOOP_TICK_MS;
            assert_true(wheel_next_ms(&clock->loop) <= last_ms);
        }
        assert_int_equal(clock->loop.timers_count, count);
        if (!count)
            assert_int_equal(wheel_next_ms(&clock->loop), -1);
    }
    assert_true(clock->fired > 100);
}

static int64_t last_due_ms;

static void check_order(struct timer *timer)
{
    assert_true(timer->due_ms / LOOP_TICK_MS >= last_due_ms / LOOP_TICK_MS - 1);
    last_due_ms = timer->due_ms;
    clock_now->fired++;
}

static void fires_in_the_order_of_ticks(void **state)
{
    struct clock *clock = *state;
    random_seed(11);
    for (int i = 0; i < TIMERS; i++) {
        clock->timers[i].on_due = check_order;
        set(clock, i, clock->loop.now_ms + (int64_t)random_below(1 << 20));
    }
    last_due_ms = 0;
    go_to(clock, clock->loop.now_ms + (1 << 21));
    assert_int_equal(clock->fired, TIMERS);
}

static void moving_to_later_does_not_fire_early(void **state)
{
    struct clock *clock = *state;
    int64_t start_ms = clock->loop.now_ms;
    set(clock, 0, start_ms + 100);
    for (int i = 1; i < 50; i++) {
        set(clock, 0, start_ms + 50 * i + 100);
        go_to(clock, start_ms + 50 * i);
        assert_int_equal(clock->fired, 0);
    }
    go_to(clock, start_ms + 50 * 49 + 100 + LOOP_TICK_MS);
    assert_int_equal(clock->fired, 1);
}

static void moving_to_sooner_fires_sooner(void **state)
{
    struct clock *clock = *state;
    int64_t start_ms = clock->loop.now_ms;
    set(clock, 0, start_ms + 1000000);
    set(clock, 0, start_ms + 10);
    go_to(clock, start_ms + 10 + LOOP_TICK_MS);
    assert_int_equal(clock->fired, 1);
    assert_int_equal(wheel_next_ms(&clock->loop), -1);
}

static void extreme_times_neither_overflow_nor_hang(void **state)
{
    struct clock *clock = *state;
    set(clock, 0, INT64_MAX);
    set(clock, 1, INT64_MIN);
    set(clock, 2, -5);
    set(clock, 3, 0);
    go_to(clock, clock->loop.now_ms + LOOP_TICK_MS);
    assert_int_equal(clock->fired, 3);
    assert_true(timer_is_set(&clock->timers[0]));
    assert_true(wheel_next_ms(&clock->loop) > clock->loop.now_ms);
    timer_clear(&clock->loop, &clock->timers[0]);
    assert_int_equal(wheel_next_ms(&clock->loop), -1);
}

static void set_again_at_once(struct timer *timer)
{
    clock_now->fired++;
    timer_set(&clock_now->loop, timer, clock_now->loop.now_ms - 50);
}

static void timer_that_sets_itself_to_the_past_runs_once_a_call(void **state)
{
    struct clock *clock = *state;
    clock->timers[0].on_due = set_again_at_once;
    set(clock, 0, clock->loop.now_ms);
    for (int i = 1; i < 10; i++) {
        go_to(clock, clock->loop.now_ms + 1000);
        assert_int_equal(clock->fired, i);
    }
}

static void clear_the_others(struct timer *timer)
{
    (void)timer;
    clock_now->fired++;
    for (int i = 0; i < 8; i++)
        timer_clear(&clock_now->loop, &clock_now->timers[i]);
}

static void callback_may_clear_others_of_the_same_tick(void **state)
{
    struct clock *clock = *state;
    for (int i = 0; i < 8; i++) {
        clock->timers[i].on_due = clear_the_others;
        set(clock, i, clock->loop.now_ms + 50);
    }
    go_to(clock, clock->loop.now_ms + 100);
    assert_int_equal(clock->fired, 1);
    assert_int_equal(clock->loop.timers_count, 0);
    assert_int_equal(wheel_next_ms(&clock->loop), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(zeroed_timer_is_not_set, make_clock),
        cmocka_unit_test_setup(fires_once_and_not_before_its_time, make_clock),
        cmocka_unit_test_setup(fires_within_a_tick_at_every_distance, make_clock),
        cmocka_unit_test_setup(next_is_soon_enough_for_all_when_random, make_clock),
        cmocka_unit_test_setup(fires_in_the_order_of_ticks, make_clock),
        cmocka_unit_test_setup(moving_to_later_does_not_fire_early, make_clock),
        cmocka_unit_test_setup(moving_to_sooner_fires_sooner, make_clock),
        cmocka_unit_test_setup(extreme_times_neither_overflow_nor_hang, make_clock),
        cmocka_unit_test_setup(timer_that_sets_itself_to_the_past_runs_once_a_call, make_clock),
        cmocka_unit_test_setup(callback_may_clear_others_of_the_same_tick, make_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
