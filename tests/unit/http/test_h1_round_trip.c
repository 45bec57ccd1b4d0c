/* Properties over random messages: what is written is read as the same message; memory runs out without harm;
 * none is allocated in steady state. */
#include "http/h1_unit.h"

#include <stdio.h>

#include "base/random.h"

enum { ROUNDS = 3000 };

static struct text random_text(const char *alphabet, size_t size_max)
{
    size_t size = random_below(size_max + 1), count = strlen(alphabet);
    char *at = arena_alloc(&unit_arena, size + 1);
    assert_non_null(at);
    for (size_t i = 0; i < size; i++)
        at[i] = alphabet[random_below(count)];
    return (struct text){at, size};
}

static const char token[] = "!#$%&'*+-.^_`|~09AZaz";
static const char value[] = " \t!\"#:;,=AZaz09\x80\xff";

static void add_random_fields(struct fields *fields)
{
    for (uint64_t i = random_below(25); i > 0; i--) {
        struct text prefix[] = {TEXT("x-"), random_text(token, 40)};
        struct text content = text_trim(random_text(value, 90));
        assert_true(fields_add(fields, arena_join(&unit_arena, prefix, 2), content));
    }
}

static void assert_same_fields(const struct fields *a, const struct fields *b)
{
    struct field_line *other = b->lines;
    FIELDS_EACH (line, a) {
        while (other->removed)
            other++;
        assert_true(text_equal(line->name, other->name) && text_equal(line->value, other->value));
        other++;
    }
}

static struct body_framing random_framing(void)
{
    struct body_framing framing = {.kind = (enum body_kind)random_below(3)};
    if (framing.kind == BODY_LENGTH)
        framing.length = 1 + (random_uint64() >> (1 + random_below(62)));
    if (framing.length > INT64_MAX)
        framing.length = INT64_MAX;
    return framing;
}

static void a_request_that_was_written_is_read_as_the_same(void **state)
{
    (void)state;
    random_seed(1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct text path[] = {TEXT("/p"), random_text("az09-_~!$&'()*+,;=:@", 40), TEXT("?"),
                              random_text("az09[]{}|/?%=&", 40)};
        struct request r = {.method_text = TEXT("REPORT")}, again;
        fields_init(&r.fields, &unit_arena);
        add_random_fields(&r.fields);
        struct h1_write how = {.target = arena_join(&unit_arena, path, 4),
                               .host = TEXT("a.example:81"),
                               .keep_alive = random_below(2),
                               .te_trailers = random_below(2),
                               .body = random_framing()};
        char *head = arena_alloc(&unit_arena, h1_request_size(&r, &how));
        size_t size = h1_write_request(&r, &how, head);
        assert_int_equal(request_of((struct text){head, size}, &again).consumed, size);
        assert_true(text_equal(again.target, how.target) && text_equal(again.query, path[3]));
        assert_text(again.host, "a.example");
        assert_int_equal(again.keep_alive, how.keep_alive);
        assert_int_equal(again.te_trailers, how.te_trailers);
        assert_int_equal(again.body.kind, how.body.kind);
        assert_true(again.body.length == how.body.length);
        assert_same_fields(&r.fields, &again.fields);
        arena_reset(&unit_arena);
    }
}

static void a_response_that_was_written_is_read_as_the_same(void **state)
{
    (void)state;
    random_seed(2);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct response r = {.status = (uint16_t)(200 + random_below(400)),
                             .reason = text_trim(random_text(value, 40))},
                        again;
        fields_init(&r.fields, &unit_arena);
        add_random_fields(&r.fields);
        struct h1_write how = {.keep_alive = random_below(2), .date = TEXT("now"), .body = random_framing()};
        if (r.status == 204 || r.status == 304)
            how.body = (struct body_framing){.kind = BODY_NONE};
        char *head = arena_alloc(&unit_arena, h1_response_size(&r, &how));
        size_t size = h1_write_response(&r, &how, head);
        assert_int_equal(response_of((struct text){head, size}, METHOD_GET, &again).consumed, size);
        assert_int_equal(again.status, r.status);
        assert_int_equal(again.keep_alive, how.keep_alive);
        bool said = how.body.kind != BODY_NONE || r.status == 204 || r.status == 304;
        assert_int_equal(again.body.kind, said ? how.body.kind : BODY_LENGTH);
        assert_true(again.body.length == how.body.length);
        assert_text(fields_get_known(&again.fields, NAME_DATE), "now");
        fields_remove_known(&again.fields, NAME_DATE);
        assert_same_fields(&r.fields, &again.fields);
        arena_reset(&unit_arena);
    }
}

static void chunks_that_were_written_are_read_as_the_same(void **state)
{
    (void)state;
    random_seed(3);
    for (unsigned round = 0; round < ROUNDS; round++) {
        char raw[4096], payload[4096];
        size_t raw_size = 0, payload_size = 0, got = 0;
        for (uint64_t i = random_below(5); i > 0; i--) {
            size_t size = 1 + random_below(600);
            raw_size += h1_write_chunk_head(size, raw + raw_size);
            for (size_t k = 0; k < size; k++)
                raw[raw_size + k] = payload[payload_size + k] = (char)random_uint64();
            raw_size += size, payload_size += size;
            raw[raw_size++] = '\r', raw[raw_size++] = '\n';
        }
        raw_size += h1_write_last_chunk(NULL, raw + raw_size);
        struct h1_body body;
        h1_body_init(&body, (struct body_framing){.kind = BODY_CHUNKED});
        struct h1_result result = {.progress = H1_MORE};
        for (size_t at = 0, consumed; result.progress == H1_MORE; at += consumed) {
            struct text piece;
            size_t end = MIN_OF(at + 1 + random_below(200), raw_size);
            end = end + 2 >= raw_size ? raw_size : end; /* the end of the trailers comes in one */
            result = h1_body_read(&body, (struct text){raw + at, end - at}, &usual_limits, &unit_arena, NULL,
                                  &consumed, &piece);
            assert_memory_equal(piece.at, payload + got, piece.size);
            got += piece.size;
        }
        assert_int_equal(result.progress, H1_DONE);
        assert_int_equal(got, payload_size);
    }
}

/* A head that allocates for everything: many fields, an upper-case host, a path to be normalised. */
static struct text costly_head(void)
{
    static char head[4096];
    size_t size =
        (size_t)snprintf(head, sizeof head, "GET /a//b/../%%7e HTTP/1.1\r\nHost: UPPER.example\r\n");
    for (unsigned i = 0; i < 60; i++)
        size += (size_t)snprintf(head + size, sizeof head - size, "X-%u: value\r\n", i);
    size += (size_t)snprintf(head + size, sizeof head - size, "\r\n");
    return (struct text){head, size};
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    unsigned failures = 0;
    for (uint64_t nth = 1;; nth++) {
        struct arena arena;
        struct request request;
        size_t scanned = 0;
        arena_init(&arena, 64, 0);
        memory_fail_at(nth);
        struct h1_result result = h1_parse_request(costly_head(), &scanned, &usual_limits, &arena, &request);
        memory_fail_at(0);
        bool failed = arena.failed;
        arena_release(&arena);
        if (result.progress == H1_DONE)
            break;
        assert_int_equal(result.refusal, H1_NO_MEMORY);
        assert_true(failed);
        failures++;
    }
    assert_true(failures >= 4);
}

static void every_limit_of_the_arena_is_a_refusal_or_enough(void **state)
{
    (void)state;
    unsigned refused = 0;
    for (size_t limit = 16; limit < 16384; limit += 112) {
        struct arena arena;
        struct request request;
        size_t scanned = 0;
        arena_init(&arena, 64, limit);
        struct h1_result result = h1_parse_request(costly_head(), &scanned, &usual_limits, &arena, &request);
        assert_true(result.progress == H1_DONE || result.refusal == H1_NO_MEMORY);
        assert_int_equal(result.progress != H1_DONE, arena.failed);
        refused += arena.failed;
        arena_release(&arena);
    }
    assert_in_range(refused, 10, 140);
}

static void trailers_without_memory_are_refused(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth < 10; nth++) {
        struct arena arena;
        struct h1_body body;
        struct fields trailers;
        struct text payload;
        size_t consumed;
        arena_init(&arena, 32, 0);
        fields_init(&trailers, &arena);
        h1_body_init(&body, (struct body_framing){.kind = BODY_CHUNKED});
        memory_fail_at(nth);
        struct h1_result result = h1_body_read(&body, TEXT("0\r\nX-One: 1\r\nX-Two: 2\r\n\r\n"),
                                               &usual_limits, &arena, &trailers, &consumed, &payload);
        memory_fail_at(0);
        assert_int_equal(result.progress, arena.failed ? H1_REFUSED : H1_DONE);
        assert_int_equal(result.refusal, arena.failed ? H1_NO_MEMORY : H1_FINE);
        assert_true(nth > 1 || arena.failed);
        arena_release(&arena);
    }
}

static void steady_state_allocates_nothing(void **state)
{
    (void)state;
    static const char head[] =
        "POST /a/../b?q HTTP/1.1\r\nHost: Shop.example\r\nContent-Length: 5\r\nAccept: */*\r\n\r\n";
    static const char answer[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nServer: s\r\n\r\n";
    char out[1024];
    uint64_t calls = 0;
    for (unsigned round = 0; round < 100; round++) {
        struct request request;
        struct response response;
        assert_int_equal(request_of(TEXT_OF_ARRAY(head), &request).progress, H1_DONE);
        assert_int_equal(response_of(TEXT_OF_ARRAY(answer), METHOD_GET, &response).progress, H1_DONE);
        struct h1_write how = {.target = request.path, .host = request.host, .body = request.body};
        assert_true(h1_request_size(&request, &how) <= sizeof out
                    && h1_write_request(&request, &how, out) > 0);
        how.body = response.body;
        assert_true(h1_response_size(&response, &how) <= sizeof out
                    && h1_write_response(&response, &how, out) > 0);
        arena_reset(&unit_arena);
        if (round == 0)
            calls = memory_calls();
    }
    assert_int_equal(memory_calls(), calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        H1_TEST(a_request_that_was_written_is_read_as_the_same),
        H1_TEST(a_response_that_was_written_is_read_as_the_same),
        H1_TEST(chunks_that_were_written_are_read_as_the_same),
        H1_TEST(every_allocation_may_fail),
        H1_TEST(every_limit_of_the_arena_is_a_refusal_or_enough),
        H1_TEST(trailers_without_memory_are_refused),
        H1_TEST(steady_state_allocates_nothing),
    };
    return RUN_TESTS(tests);
}
