/* Connections by client, and limits, as workers count them together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/check.h"
#include "base/text.h"
#include "proxy/listener_state.h"

enum { THREADS = 4, ROUNDS = 2000 };

static int make_state(void **state)
{
    *state = listener_state_create(NULL);
    return *state ? 0 : -1;
}

static int destroy_state(void **state)
{
    listener_state_destroy(*state);
    return 0;
}

static struct ip ip_of(const char *text)
{
    struct ip ip;
    assert_true(ip_parse(text_of(text), &ip));
    return ip;
}

static void client_gets_as_many_connections_as_it_may(void **state)
{
    int32_t slots[3], refused;
    for (int i = 0; i < 3; i++)
        assert_true(listener_state_enter(*state, ip_of("192.0.2.1"), 3, &slots[i]));
    assert_false(listener_state_enter(*state, ip_of("192.0.2.1"), 3, &refused));
    assert_int_equal(refused, -1);
    listener_state_leave(*state, slots[1]);
    assert_true(listener_state_enter(*state, ip_of("192.0.2.1"), 3, &slots[1]));
}

static void clients_are_counted_apart(void **state)
{
    int32_t slot;
    assert_true(listener_state_enter(*state, ip_of("192.0.2.1"), 1, &slot));
    assert_true(listener_state_enter(*state, ip_of("192.0.2.2"), 1, &slot));
    assert_true(listener_state_enter(*state, ip_of("2001:db8::1"), 1, &slot));
    assert_false(listener_state_enter(*state, ip_of("2001:db8::1"), 1, &slot));
}

static void leaving_without_a_slot_does_nothing(void **state)
{
    int32_t slot;
    listener_state_leave(*state, -1);
    assert_true(listener_state_enter(*state, ip_of("192.0.2.1"), 1, &slot));
}

static void slots_are_free_again_when_their_clients_have_gone(void **state)
{
    for (uint32_t i = 0; i < 2 * CLIENT_SLOTS; i++) {
        struct ip ip = ip_of("2001:db8::");
        memcpy(ip.bytes + 10, &i, sizeof i);
        int32_t slot;
        assert_true(listener_state_enter(*state, ip, 1, &slot));
        assert_int_not_equal(slot, -1);
        listener_state_leave(*state, slot);
    }
}

static void limits_have_names_of_their_own_and_are_counted(void **state)
{
    struct listener_state *listener = *state;
    for (int i = 0; i < LIMITS_COUNT; i++) {
        for (int j = 0; j < i; j++)
            assert_string_not_equal(limit_names[i], limit_names[j]);
        listener_state_count(listener, (enum limit)i);
        listener_state_count(listener, (enum limit)i);
        assert_int_equal(listener->limits[i], 2);
    }
    assert_string_equal(limit_names[LIMIT_CONNECTIONS_PER_CLIENT], "connections_per_client");
}

static void *come_and_go(void *argument)
{
    struct listener_state *state = argument;
    for (int i = 0; i < ROUNDS; i++) {
        int32_t slot;
        CHECK(listener_state_enter(state, (struct ip){.bytes = {1}}, THREADS, &slot));
        listener_state_count(state, LIMIT_BODY);
        listener_state_leave(state, slot);
    }
    return NULL;
}

static void threads_count_together(void **state)
{
    struct listener_state *listener = *state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, listener), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(listener->limits[LIMIT_BODY], THREADS * ROUNDS);
    for (int i = 0; i < CLIENT_SLOTS; i++)
        assert_int_equal(listener->clients[i] & 0xffff, 0);
}

int main(void)
{
#define STATE_TEST(name) cmocka_unit_test_setup_teardown(name, make_state, destroy_state)
    const struct CMUnitTest tests[] = {
        STATE_TEST(client_gets_as_many_connections_as_it_may),
        STATE_TEST(clients_are_counted_apart),
        STATE_TEST(leaving_without_a_slot_does_nothing),
        STATE_TEST(slots_are_free_again_when_their_clients_have_gone),
        STATE_TEST(limits_have_names_of_their_own_and_are_counted),
        STATE_TEST(threads_count_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
