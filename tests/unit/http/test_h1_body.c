/* Bodies: lengths, chunks, trailers, whole and in pieces. */
#include "http/h1_unit.h"

struct outcome {
    struct h1_result result;
    char payload[8192];
    size_t payload_size, consumed;
    struct fields trailers;
};

/* Feeds `input` with at most `step` new bytes at a time, as a connection does, in blocks of exactly their
 * size. */
static void read_pieces(struct text input, struct body_framing framing, size_t step, struct outcome *outcome)
{
    struct h1_body body;
    *outcome = (struct outcome){.result = {.progress = H1_MORE}};
    fields_init(&outcome->trailers, &unit_arena);
    h1_body_init(&body, framing);
    size_t known = 0;
    for (bool stuck = true; outcome->result.progress == H1_MORE && (!stuck || known < input.size);) {
        if (stuck)
            known = MIN_OF(known + step, input.size);
        struct text fresh = exact_copy(text_slice(input, outcome->consumed, known)), payload;
        size_t consumed;
        outcome->result =
            h1_body_read(&body, fresh, &usual_limits, &unit_arena, &outcome->trailers, &consumed, &payload);
        assert_true(consumed <= fresh.size
                    && outcome->payload_size + payload.size <= sizeof outcome->payload);
        memcpy(outcome->payload + outcome->payload_size, payload.at, payload.size);
        outcome->payload_size += payload.size;
        outcome->consumed += consumed;
        stuck = consumed == 0 || outcome->consumed == known;
        memory_free((char *)fresh.at);
    }
}

/* Every step from one byte to all gives the same. */
static void assert_chunks(const char *input, const char *payload, size_t left)
{
    for (size_t step = 1; step <= strlen(input); step++) {
        struct outcome outcome;
        read_pieces(text_of(input), (struct body_framing){.kind = BODY_CHUNKED}, step, &outcome);
        if (outcome.result.progress != H1_DONE)
            fail_msg("%s by %zu: %s", input, step, h1_refusal_text(outcome.result.refusal));
        assert_text(((struct text){outcome.payload, outcome.payload_size}), payload);
        assert_int_equal(outcome.consumed, strlen(input) - left);
    }
}

static void assert_refused(const char *input, enum h1_refusal wanted)
{
    for (size_t step = 1; step <= strlen(input); step++) {
        struct outcome outcome;
        read_pieces(text_of(input), (struct body_framing){.kind = BODY_CHUNKED}, step, &outcome);
        if (outcome.result.progress != H1_REFUSED || outcome.result.refusal != wanted)
            fail_msg("%s by %zu: %d %s", input, step, (int)outcome.result.progress,
                     h1_refusal_text(outcome.result.refusal));
    }
}

static void no_body_ends_at_once(void **state)
{
    (void)state;
    struct h1_body body;
    struct text payload;
    size_t consumed;
    h1_body_init(&body, (struct body_framing){.kind = BODY_NONE});
    assert_int_equal(
        h1_body_read(&body, TEXT("next"), &usual_limits, &unit_arena, NULL, &consumed, &payload).progress,
        H1_DONE);
    assert_int_equal(consumed, 0);
    h1_body_init(&body, (struct body_framing){.kind = BODY_LENGTH, .length = 0});
    assert_int_equal(
        h1_body_read(&body, (struct text){NULL, 0}, &usual_limits, &unit_arena, NULL, &consumed, &payload)
            .progress,
        H1_DONE);
}

static void a_body_of_a_length_takes_just_that(void **state)
{
    (void)state;
    for (size_t step = 1; step < 9; step++) {
        struct outcome outcome;
        read_pieces(TEXT("helloGET"), (struct body_framing){.kind = BODY_LENGTH, .length = 5}, step,
                    &outcome);
        assert_int_equal(outcome.result.progress, H1_DONE);
        assert_text(((struct text){outcome.payload, outcome.payload_size}), "hello");
        assert_int_equal(outcome.consumed, 5);
    }
}

static void payload_is_given_in_place(void **state)
{
    (void)state;
    static const char input[] = "5;x\r\nhello\r\n0\r\n\r\n";
    struct h1_body body;
    struct text payload;
    size_t consumed;
    h1_body_init(&body, (struct body_framing){.kind = BODY_CHUNKED});
    struct h1_result result =
        h1_body_read(&body, TEXT_OF_ARRAY(input), &usual_limits, &unit_arena, NULL, &consumed, &payload);
    assert_int_equal(result.progress, H1_DONE);
    assert_ptr_equal(payload.at, input + 5);
    assert_int_equal(consumed, sizeof input - 1);
}

static void a_call_gives_one_run_of_payload(void **state)
{
    (void)state;
    struct text input = TEXT("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), payload;
    struct h1_body body;
    size_t consumed;
    h1_body_init(&body, (struct body_framing){.kind = BODY_CHUNKED});
    struct h1_result result =
        h1_body_read(&body, input, &usual_limits, &unit_arena, NULL, &consumed, &payload);
    assert_int_equal(result.progress, H1_MORE);
    assert_text(payload, "abc");
    result = h1_body_read(&body, text_slice(input, consumed, input.size), &usual_limits, &unit_arena, NULL,
                          &consumed, &payload);
    assert_int_equal(result.progress, H1_DONE);
    assert_text(payload, "de");
}

static void chunks_are_joined_however_they_come(void **state)
{
    (void)state;
    assert_chunks("5\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\n\r\n", "hello 0123456789", 0);
    assert_chunks("b\r\nhello world\r\n000\r\n\r\n", "hello world", 0);
    assert_chunks("0\r\n\r\n", "", 0);
    assert_chunks("0000000000000001\r\na\r\n0\r\n\r\n", "a", 0);
}

static void bytes_after_the_end_are_the_next_message(void **state)
{
    (void)state;
    assert_chunks("1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n", "a", 18);
    assert_chunks("1\r\na\r\n0\r\nX: y\r\n\r\n\r\n", "a", 2);
}

static void extensions_are_dropped(void **state)
{
    (void)state;
    assert_chunks("1;a=b;c=\"d\te\"\r\na\r\n0;x\r\n\r\n", "a", 0);
    assert_chunks("1 \t;a\r\na\r\n0;\r\n\r\n", "a", 0);
}

static void a_chunk_size_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"\r\n",   "g\r\n",   "0x3\r\n",  "+3\r\n",      "-3\r\n",
                                      " 3\r\n", "3 \r\n",  "3\t\r\n",  "1_0\r\n",     ";a\r\n",
                                      "3,\r\n", "3 3\r\n", "3 a;\r\n", "\xd9\xa3\r\n"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_refused(bad[i], H1_BAD_CHUNK);
}

static void a_chunk_size_that_overflows_is_refused(void **state)
{
    (void)state;
    assert_refused("8000000000000000\r\n", H1_BAD_CHUNK);
    assert_refused("ffffffffffffffff\r\n", H1_BAD_CHUNK);
    assert_refused("10000000000000003\r\n", H1_BAD_CHUNK);
    assert_refused("00000000000000003\r\n", H1_BAD_CHUNK);
}

static void the_largest_chunk_size_is_taken(void **state)
{
    (void)state;
    struct outcome outcome;
    read_pieces(TEXT("7fffffffffffffff\r\nabc"), (struct body_framing){.kind = BODY_CHUNKED}, 1, &outcome);
    assert_int_equal(outcome.result.progress, H1_MORE);
    assert_int_equal(outcome.payload_size, 3);
}

static void line_ends_other_than_crlf_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "3\nabc\r\n0\r\n\r\n", "3\rabc",         "3\r\nabc\n0", "3\r\nabcd\r\n", "3\r\nabc0\r\n",
        "3\r\nabcXX0\r\n",     "3\r\nabc\r\r\n", "0\n\n",       "3;a\nb\r\n",    "3;a\rb\r\n"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_refused(bad[i], H1_BAD_CHUNK);
}

static void control_bytes_in_extensions_are_refused(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        char input[] = "1;a?b\r\na\r\n0\r\n\r\n";
        input[3] = (char)byte;
        struct outcome outcome;
        read_pieces(TEXT_OF_ARRAY(input), (struct body_framing){.kind = BODY_CHUNKED}, sizeof input,
                    &outcome);
        bool wanted = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
        assert_int_equal(outcome.result.progress, wanted ? H1_DONE : H1_REFUSED);
    }
}

static void an_extension_over_its_limit_is_refused(void **state)
{
    (void)state;
    char input[2000] = "1;";
    memset(input + 2, 'x', sizeof input - 2);
    struct outcome outcome;
    read_pieces((struct text){input, sizeof input}, (struct body_framing){.kind = BODY_CHUNKED}, 100,
                &outcome);
    assert_int_equal(outcome.result.refusal, H1_BAD_CHUNK);
    read_pieces((struct text){input, 1024}, (struct body_framing){.kind = BODY_CHUNKED}, 100, &outcome);
    assert_int_equal(outcome.result.progress, H1_MORE);
}

/* Feeds the same chunk until it is refused; how many were taken, up to `max`. */
static unsigned repeat_chunk(struct text chunk, unsigned max)
{
    struct h1_body body;
    h1_body_init(&body, (struct body_framing){.kind = BODY_CHUNKED});
    for (unsigned count = 0; count < max; count++)
        for (size_t at = 0, consumed; at < chunk.size; at += consumed) {
            struct text payload;
            struct h1_result result = h1_body_read(&body, text_slice(chunk, at, chunk.size), &usual_limits,
                                                   &unit_arena, NULL, &consumed, &payload);
            if (result.progress == H1_REFUSED)
                return count;
        }
    return max;
}

static void framing_that_outweighs_the_data_is_refused(void **state)
{
    (void)state;
    char chunk[220] = "1;";
    memset(chunk + 2, 'x', 200);
    memcpy(chunk + 202, "\r\na\r\n", 5);
    assert_in_range(repeat_chunk((struct text){chunk, 207}, 1000), 50, 150);
    assert_int_equal(repeat_chunk(TEXT("1\r\na\r\n"), 100000), 100000);
    assert_int_equal(repeat_chunk(TEXT("1;a=b\r\na\r\n"), 100000), 100000);
}

static void trailers_are_copied_and_found(void **state)
{
    (void)state;
    static const char input[] = "1\r\na\r\n0\r\nX-Sum: 1\r\ngrpc-status: 0 \r\nETag: e\r\n\r\n";
    for (size_t step = 1; step < sizeof input; step++) {
        struct outcome outcome;
        read_pieces(TEXT_OF_ARRAY(input), (struct body_framing){.kind = BODY_CHUNKED}, step, &outcome);
        assert_int_equal(outcome.result.progress, H1_DONE);
        assert_int_equal(outcome.trailers.count, 3);
        assert_text(fields_get(&outcome.trailers, TEXT("x-sum")), "1");
        assert_text(fields_get(&outcome.trailers, TEXT("Grpc-Status")), "0");
        assert_text(fields_get_known(&outcome.trailers, NAME_ETAG), "e");
    }
}

static void forbidden_trailers_are_dropped(void **state)
{
    (void)state;
    struct outcome outcome;
    read_pieces(
        TEXT(
            "0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: a\r\nAuthorization: b\r\nSet-Cookie: c\r\n"
            "Content-Type: d\r\ncontent-range: e\r\nX-Forwarded-For: f\r\nTrailer: g\r\nmax-forwards: 1\r\nX: kept\r\n\r\n"),
        (struct body_framing){.kind = BODY_CHUNKED}, 1000, &outcome);
    assert_int_equal(outcome.result.progress, H1_DONE);
    assert_int_equal(outcome.trailers.count, 1);
    assert_text(fields_get(&outcome.trailers, TEXT("X")), "kept");
}

static void nobody_who_asks_for_no_trailers_gets_them_unchecked(void **state)
{
    (void)state;
    struct h1_body body;
    struct text payload;
    size_t consumed;
    h1_body_init(&body, (struct body_framing){.kind = BODY_CHUNKED});
    assert_int_equal(
        h1_body_read(&body, TEXT("0\r\nX: y\r\n\r\n"), &usual_limits, &unit_arena, NULL, &consumed, &payload)
            .progress,
        H1_DONE);
    h1_body_init(&body, (struct body_framing){.kind = BODY_CHUNKED});
    assert_int_equal(
        h1_body_read(&body, TEXT("0\r\nX : y\r\n\r\n"), &usual_limits, &unit_arena, NULL, &consumed, &payload)
            .progress,
        H1_REFUSED);
}

static void malformed_trailers_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"0\r\nX: a\r\n b\r\n\r\n", "0\r\nX\r\n\r\n",  "0\r\nX : y\r\n\r\n",
                                      "0\r\nX: \x01\r\n\r\n",    "0\r\nX: y\n\r\n", "0\r\n: y\r\n\r\n",
                                      "0\r\nX: y\rz\r\n\r\n"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_refused(bad[i], H1_BAD_FIELD);
}

static void trailers_over_the_limits_are_refused(void **state)
{
    (void)state;
    struct h1_limits limits = {.fields_max = 2, .trailer_bytes_max = 14};
    static const struct {
        const char *trailers;
        enum h1_progress progress;
    } cases[] = {
        {"A: 1\r\nB: 2\r\n\r\n", H1_DONE},      {"A: 1\r\nB: 23\r\n\r\n", H1_REFUSED},
        {"A:\r\nB:\r\nC:\r\n\r\n", H1_REFUSED}, {"A: 1234567890", H1_MORE},
        {"A: 12345678901", H1_REFUSED},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct h1_body body;
        struct text payload, parts[] = {TEXT("0\r\n"), text_of(cases[i].trailers)};
        size_t consumed;
        h1_body_init(&body, (struct body_framing){.kind = BODY_CHUNKED});
        struct h1_result result = h1_body_read(&body, arena_join(&unit_arena, parts, 2), &limits, &unit_arena,
                                               NULL, &consumed, &payload);
        assert_int_equal(result.progress, cases[i].progress);
        assert_int_equal(result.refusal, result.progress == H1_REFUSED ? H1_TRAILERS_TOO_LARGE : H1_FINE);
    }
}

static void incomplete_trailers_consume_nothing(void **state)
{
    (void)state;
    struct h1_body body;
    struct text payload;
    size_t consumed;
    h1_body_init(&body, (struct body_framing){.kind = BODY_CHUNKED});
    (void)h1_body_read(&body, TEXT("0\r\nX: y"), &usual_limits, &unit_arena, NULL, &consumed,
                       &payload); /* to the trailers */
    assert_int_equal(consumed, 3);
    (void)h1_body_read(&body, TEXT("X: y\r\n"), &usual_limits, &unit_arena, NULL, &consumed, &payload);
    assert_int_equal(consumed, 0);
    assert_int_equal(payload.size, 0);
    struct h1_result result =
        h1_body_read(&body, TEXT("X: y\r\n\r\nnext"), &usual_limits, &unit_arena, NULL, &consumed, &payload);
    assert_int_equal(result.progress, H1_DONE);
    assert_int_equal(consumed, 8);
}

static void the_end_of_the_connection_ends_only_what_it_may(void **state)
{
    (void)state;
    struct h1_body body;
    struct text payload;
    size_t consumed;
    h1_body_init(&body, (struct body_framing){.kind = BODY_CLOSE});
    assert_int_equal(
        h1_body_read(&body, TEXT("all"), &usual_limits, &unit_arena, NULL, &consumed, &payload).progress,
        H1_MORE);
    assert_text(payload, "all");
    assert_int_equal(h1_body_end(&body), H1_DONE);
    h1_body_init(&body, (struct body_framing){.kind = BODY_LENGTH, .length = 1});
    assert_int_equal(h1_body_end(&body), H1_REFUSED);
    h1_body_init(&body, (struct body_framing){.kind = BODY_CHUNKED});
    (void)h1_body_read(&body, TEXT("1\r\na\r\n0\r\n"), &usual_limits, &unit_arena, NULL, &consumed,
                       &payload); /* no end */
    assert_int_equal(h1_body_end(&body), H1_REFUSED);
    (void)h1_body_read(&body, TEXT("\r\n"), &usual_limits, &unit_arena, NULL, &consumed,
                       &payload); /* the end */
    assert_int_equal(h1_body_end(&body), H1_DONE);
}

static void plain_bytes_may_be_skipped(void **state)
{
    (void)state;
    struct h1_body body;
    h1_body_init(&body, (struct body_framing){.kind = BODY_LENGTH, .length = 10});
    assert_int_equal(h1_body_plain(&body), 10);
    h1_body_skip(&body, 10);
    assert_int_equal(h1_body_end(&body), H1_DONE);
    h1_body_init(&body, (struct body_framing){.kind = BODY_CHUNKED});
    assert_int_equal(h1_body_plain(&body), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        H1_TEST(no_body_ends_at_once),
        H1_TEST(a_body_of_a_length_takes_just_that),
        H1_TEST(payload_is_given_in_place),
        H1_TEST(a_call_gives_one_run_of_payload),
        H1_TEST(chunks_are_joined_however_they_come),
        H1_TEST(bytes_after_the_end_are_the_next_message),
        H1_TEST(extensions_are_dropped),
        H1_TEST(a_chunk_size_that_is_none_is_refused),
        H1_TEST(a_chunk_size_that_overflows_is_refused),
        H1_TEST(the_largest_chunk_size_is_taken),
        H1_TEST(line_ends_other_than_crlf_are_refused),
        H1_TEST(control_bytes_in_extensions_are_refused),
        H1_TEST(an_extension_over_its_limit_is_refused),
        H1_TEST(framing_that_outweighs_the_data_is_refused),
        H1_TEST(trailers_are_copied_and_found),
        H1_TEST(forbidden_trailers_are_dropped),
        H1_TEST(nobody_who_asks_for_no_trailers_gets_them_unchecked),
        H1_TEST(malformed_trailers_are_refused),
        H1_TEST(trailers_over_the_limits_are_refused),
        H1_TEST(incomplete_trailers_consume_nothing),
        H1_TEST(the_end_of_the_connection_ends_only_what_it_may),
        H1_TEST(plain_bytes_may_be_skipped),
    };
    return RUN_TESTS(tests);
}
