/* Hierarchical timing wheel (Varghese and Lauck 1987): 4 levels of 256 slots, a tick of 8 ms at the lowest.
 * Level 0 holds the next 256 ticks one by one; a slot of a higher level holds 256 times as much as one below
 * it, and its timers move down ("cascade") when their turn comes. A bitmap per level finds the next slot in
 * use, so an idle loop sleeps until it and skips empty ticks.
 *
 * A running timer that is moved to later stays in its slot, and is placed anew when that slot's turn comes:
 * the usual case, a timeout that starts again with each read, costs one store. */
#include "net/timer.h"

#include "base/check.h"

enum { SLOT_MASK = LOOP_WHEEL_SLOTS - 1, MAP_WORDS = LOOP_WHEEL_SLOTS / 64 };

static const int64_t horizon =
    (1ll << LOOP_WHEEL_BITS * LOOP_WHEEL_LEVELS) - 1; /* ticks; later ones are placed again there */

void wheel_init(struct loop *loop)
{
    for (int level = 0; level < LOOP_WHEEL_LEVELS; level++) {
        for (int slot = 0; slot < LOOP_WHEEL_SLOTS; slot++)
            list_init(&loop->wheel[level][slot]);
        for (int word = 0; word < MAP_WORDS; word++)
            loop->wheel_map[level][word] = 0;
    }
    list_init(&loop->due);
    loop->timers_count = 0;
    loop->wheel_tick = loop->now_ms / LOOP_TICK_MS + 1;
}

/* The first tick that begins at or after the timer's time. */
static int64_t due_tick(const struct timer *timer)
{
    return timer->due_ms / LOOP_TICK_MS + (timer->due_ms % LOOP_TICK_MS > 0);
}

/* Puts a timer that is in no list where tick `tick` will find it. */
static void place(struct loop *loop, struct timer *timer, int64_t tick)
{
    int64_t ahead = MIN_OF(MAX_OF(tick, loop->wheel_tick) - loop->wheel_tick, horizon);
    int level = ahead < LOOP_WHEEL_SLOTS ? 0 : (63 - __builtin_clzll((uint64_t)ahead)) / LOOP_WHEEL_BITS;
    int slot = (int)((loop->wheel_tick + ahead) >> LOOP_WHEEL_BITS * level) & SLOT_MASK;
    list_push_back(&loop->wheel[level][slot], &timer->link);
    loop->wheel_map[level][slot / 64] |= 1ull << slot % 64;
}

/* Takes a timer out of its list; the last one of a slot clears the slot's bit. */
static void take(struct loop *loop, struct timer *timer)
{
    struct list *previous = timer->link.previous, *next = timer->link.next;
    previous->next = next;
    next->previous = previous;
    timer->link.next = NULL;
    uintptr_t offset = (uintptr_t)next - (uintptr_t)loop->wheel;
    if (previous != next || offset >= sizeof loop->wheel) /* others are left, or it was in loop->due */
        return;
    size_t slot = offset / sizeof(struct list);
    loop->wheel_map[slot / LOOP_WHEEL_SLOTS][slot % LOOP_WHEEL_SLOTS / 64] &= ~(1ull << slot % 64);
}

void timer_set(struct loop *loop, struct timer *timer, int64_t due_ms)
{
    if (timer_is_set(timer)) {
        int64_t before_ms = timer->due_ms;
        timer->due_ms = due_ms;
        if (due_ms >= before_ms)
            return;
        take(loop, timer);
    } else {
        timer->due_ms = due_ms;
        loop->timers_count++;
    }
    place(loop, timer, MAX_OF(due_tick(timer), loop->now_ms / LOOP_TICK_MS + 1));
}

void timer_clear(struct loop *loop, struct timer *timer)
{
    if (!timer_is_set(timer))
        return;
    take(loop, timer);
    loop->timers_count--;
}

/* Moves all members of a slot to `to`, an uninitialised head. */
static void empty_slot(struct loop *loop, int level, int slot, struct list *to)
{
    struct list *from = &loop->wheel[level][slot];
    loop->wheel_map[level][slot / 64] &= ~(1ull << slot % 64);
    list_init(to);
    if (list_is_empty(from))
        return;
    *to = *from;
    to->next->previous = to->previous->next = to;
    list_init(from);
}

/* At the first tick of a slot of a higher level, its timers move down. */
static void cascade(struct loop *loop)
{
    for (int level = 1; level < LOOP_WHEEL_LEVELS; level++) {
        int shift = LOOP_WHEEL_BITS * level;
        if (loop->wheel_tick & ((1ll << shift) - 1))
            return;
        struct list moving;
        empty_slot(loop, level, (int)(loop->wheel_tick >> shift) & SLOT_MASK, &moving);
        for (struct list *link; (link = list_pop_front(&moving));) {
            struct timer *timer = CONTAINER_OF(link, struct timer, link);
            place(loop, timer, due_tick(timer));
        }
    }
}

static void run_tick(struct loop *loop)
{
    cascade(loop);
    int64_t tick = loop->wheel_tick++;
    empty_slot(loop, 0, (int)(tick & SLOT_MASK), &loop->due);
    while (!list_is_empty(&loop->due)) {
        struct timer *timer = CONTAINER_OF(loop->due.next, struct timer, link);
        take(loop, timer);
        if (due_tick(timer) > tick) { /* it was moved to later */
            place(loop, timer, due_tick(timer));
        } else {
            loop->timers_count--;
            timer->on_due(timer);
        }
    }
}

/* How many slots after `from` the first one in use is, in a circle; -1: none is. */
static int map_next(const uint64_t *map, int from)
{
    for (int i = 0; i <= MAP_WORDS; i++) {
        int word = (from / 64 + i) % MAP_WORDS;
        uint64_t bits = map[word];
        if (i == 0)
            bits &= ~0ull << from % 64;
        if (bits)
            return (word * 64 + __builtin_ctzll(bits) - from) & SLOT_MASK;
    }
    return -1;
}

/* The next tick at which something fires or cascades; there is at least one timer. */
static int64_t next_tick(const struct loop *loop)
{
    int64_t soonest = INT64_MAX;
    for (int level = 0; level < LOOP_WHEEL_LEVELS; level++) {
        int shift = LOOP_WHEEL_BITS * level;
        int64_t first =
            (loop->wheel_tick + (1ll << shift) - 1) >> shift; /* the first slot that has not been emptied */
        int after = map_next(loop->wheel_map[level], (int)(first & SLOT_MASK));
        if (after >= 0)
            soonest = MIN_OF(soonest, (first + after) << shift);
    }
    return soonest;
}

void wheel_run(struct loop *loop)
{
    int64_t now_tick = loop->now_ms / LOOP_TICK_MS;
    while (loop->wheel_tick <= now_tick) {
        int64_t tick = loop->timers_count ? next_tick(loop) : INT64_MAX;
        loop->wheel_tick = MIN_OF(tick, now_tick + 1);
        if (tick <= now_tick)
            run_tick(loop);
    }
}

int64_t wheel_next_ms(const struct loop *loop)
{
    return loop->timers_count ? next_tick(loop) * LOOP_TICK_MS : -1;
}
