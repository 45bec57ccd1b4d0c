/* What the consumer set costs: building, bytes a consumer, and nanoseconds a key look-up at 1 to 1,000,000 consumers (each
 * request with another one's key, in an order that no cache foresees).
 *
 *     build/tests/bench/micro_consumers [rounds] */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../unit/proxy/many_consumers.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/time.h"
#include "config/report.h"
#include "policy/instance.h"
#include "proxy/consumer.h"

enum { CONSUMERS_MAX = 1000000, REQUESTS = 1 << 18 };

static struct text keys[REQUESTS];
static char texts[REQUESTS][MANY_TEXT_MAX];

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* The best round, in CPU time: others use the machine too. `miss`: keys that nobody has. `use`: what a request reads of the consumer is read as well. */
static double find_ns(const struct consumer_set *set, size_t count, int rounds, bool miss, bool use)
{
    struct credential credential;
    size_t found = 0;
    for (size_t i = 0; i < REQUESTS; i++) {
        keys[i] = many_key(random_below(count), texts[i]);
        texts[i][0] = miss ? 'K' : 'k';
    }
    double best = 1e9;
    for (int round = 0; round < rounds; round++) {
        int64_t began = cpu_ns();
        for (size_t i = 0; i < REQUESTS; i++) {
            bool hit = consumer_set_find_key(set, keys[i], 0, &credential);
            found += hit && (!use || (credential.consumer->kind && credential.consumer->name.at[0] == 'c'));
        }
        best = MIN_OF(best, (double)(cpu_ns() - began) / REQUESTS);
    }
    CHECK(found == (miss ? 0 : (size_t)rounds * REQUESTS));
    return best;
}

static void measure(const struct node *all, size_t count, int rounds)
{
    struct arena arena, notes;
    struct report report;
    struct node consumers = *all;
    static const struct policy_builder builder = {.workers = 1};
    arena_init(&arena, 0, 0);
    arena_init(&notes, 0, 0);
    report_init(&report, &notes);
    struct binder binder = {.arena = &arena, .report = &report};
    consumers.count = (uint32_t)count;
    int64_t began = time_monotonic_ns();
    const struct consumer_set *set = consumer_set_build(&binder, &builder, &consumers, NULL);
    double build_ms = (double)(time_monotonic_ns() - began) / (double)NS_PER_MS;
    CHECK(set);
    double hit = find_ns(set, count, rounds, false, false), use = find_ns(set, count, rounds, false, true),
           miss = find_ns(set, count, rounds, true, false);
    printf("%9zu %9.1f %9.1f %9.0f %9.0f %9.0f\n", count, build_ms, (double)arena.used / (double)count, hit,
           use, miss);
    arena_release(&arena);
    arena_release(&notes);
}

int main(int argc, char **argv)
{
    static const size_t COUNTS[] = {1, 1000, 10000, 100000, CONSUMERS_MAX};
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 4;
    struct arena tree;
    random_init();
    random_seed(1);
    arena_init(&tree, 1 << 20, 0);
    struct node all = many_consumers(&tree, CONSUMERS_MAX);
    printf("consumers  build ms     bytes    hit ns    use ns   miss ns\n");
    for (size_t i = 0; i < COUNT_OF(COUNTS); i++)
        measure(&all, COUNTS[i], rounds);
    arena_release(&tree);
    return 0;
}
