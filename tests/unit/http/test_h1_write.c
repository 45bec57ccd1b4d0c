/* Heads and chunks as bytes: what is written, and what never is. */
#include "http/h1_unit.h"

static struct request request_with(const char *method)
{
    struct request request = {.method_text = text_of(method), .method = method_parse(text_of(method))};
    fields_init(&request.fields, &unit_arena);
    return request;
}

static struct response response_with(uint16_t status)
{
    struct response response = {.status = status};
    fields_init(&response.fields, &unit_arena);
    return response;
}

static struct h1_write to_origin(void)
{
    return (struct h1_write){.target = TEXT("/p?q"), .host = TEXT("origin:81"), .keep_alive = true};
}

static struct text written_request(const struct request *request, struct h1_write how)
{
    size_t room = h1_request_size(request, &how);
    char *to = memory_alloc(room); /* AddressSanitizer sees a byte too many */
    assert_non_null(to);
    size_t size = h1_write_request(request, &how, to);
    assert_true(size <= room);
    struct text copy = arena_copy(&unit_arena, (struct text){to, size});
    memory_free(to);
    return copy;
}

static struct text written_response(const struct response *response, struct h1_write how)
{
    size_t room = h1_response_size(response, &how);
    char *to = memory_alloc(room);
    assert_non_null(to);
    size_t size = h1_write_response(response, &how, to);
    assert_true(size <= room);
    struct text copy = arena_copy(&unit_arena, (struct text){to, size});
    memory_free(to);
    return copy;
}

#define REQUEST_LINES "/p?q HTTP/1.1\r\nHost: origin:81\r\n"

static void a_request_is_its_line_host_and_fields(void **state)
{
    (void)state;
    struct request r = request_with("GET");
    assert_true(fields_add(&r.fields, TEXT("accept"), TEXT("*/*")));
    assert_true(fields_add(&r.fields, TEXT("x-Own"), TEXT("")));
    assert_text(written_request(&r, to_origin()), "GET " REQUEST_LINES "Accept: */*\r\nx-Own: \r\n\r\n");
}

static void a_method_that_anticipates_content_says_that_there_is_none(void **state)
{
    (void)state;
    static const char *const methods[] = {"POST", "PUT", "PATCH"};
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        struct request r = request_with(methods[i]);
        struct text parts[] = {text_of(methods[i]), TEXT(" " REQUEST_LINES "Content-Length: 0\r\n\r\n")};
        struct text wanted = arena_join(&unit_arena, parts, 2);
        struct h1_write how = to_origin();
        assert_text(written_request(&r, how), wanted.at);
        how.body.kind = BODY_LENGTH;
        assert_text(written_request(&r, how), wanted.at);
    }
}

static void other_methods_say_nothing_where_there_is_no_content(void **state)
{
    (void)state;
    struct request r = request_with("DELETE");
    struct h1_write how = to_origin();
    assert_text(written_request(&r, how), "DELETE " REQUEST_LINES "\r\n");
    how.body.kind = BODY_LENGTH;
    assert_text(written_request(&r, how), "DELETE " REQUEST_LINES "\r\n");
}

static void framing_comes_from_the_body(void **state)
{
    (void)state;
    struct request r = request_with("GET");
    struct h1_write how = to_origin();
    how.body = (struct body_framing){.kind = BODY_LENGTH, .length = UINT64_MAX};
    assert_text(written_request(&r, how),
                "GET " REQUEST_LINES "Content-Length: 18446744073709551615\r\n\r\n");
    how.body.kind = BODY_CHUNKED;
    assert_text(written_request(&r, how), "GET " REQUEST_LINES "Transfer-Encoding: chunked\r\n\r\n");
}

static void connection_options_are_written(void **state)
{
    (void)state;
    struct request r = request_with("GET");
    struct h1_write how = to_origin();
    how.keep_alive = false;
    assert_text(written_request(&r, how), "GET " REQUEST_LINES "Connection: close\r\n\r\n");
    how.te_trailers = true;
    assert_text(written_request(&r, how),
                "GET " REQUEST_LINES "Connection: close, TE\r\nTE: trailers\r\n\r\n");
    how.keep_alive = true;
    assert_text(written_request(&r, how), "GET " REQUEST_LINES "Connection: TE\r\nTE: trailers\r\n\r\n");
}

static void upgrade_is_written_only_when_asked_for(void **state)
{
    (void)state;
    struct request r = request_with("GET");
    assert_true(fields_add_known(&r.fields, NAME_UPGRADE, TEXT("websocket")));
    struct h1_write how = to_origin();
    assert_text(written_request(&r, how), "GET " REQUEST_LINES "\r\n");
    how.upgrade = true;
    assert_text(written_request(&r, how),
                "GET " REQUEST_LINES "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n");
}

static void fields_of_the_writer_are_left_out_whoever_added_them(void **state)
{
    (void)state;
    static const char *const own[] = {"Host", "connection",        "Keep-Alive",     "Proxy-Connection",
                                      "TE",   "Transfer-Encoding", "content-length", "Upgrade"};
    struct request r = request_with("GET");
    struct response answer = response_with(200);
    for (size_t i = 0; i < COUNT_OF(own); i++) {
        assert_true(fields_add(&r.fields, text_of(own[i]), TEXT("3")));
        assert_true(fields_add(&answer.fields, text_of(own[i]), TEXT("3")));
    }
    assert_text(written_request(&r, to_origin()), "GET " REQUEST_LINES "\r\n");
    assert_text(written_response(&answer, (struct h1_write){.keep_alive = true}),
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static void removed_lines_are_not_written(void **state)
{
    (void)state;
    struct request r = request_with("GET");
    assert_true(fields_add(&r.fields, TEXT("X"), TEXT("y")));
    fields_remove(&r.fields, TEXT("X"));
    assert_text(written_request(&r, to_origin()), "GET " REQUEST_LINES "\r\n");
}

static void lines_that_are_no_field_are_left_out(void **state)
{
    (void)state;
    static const char *const values[] = {
        "a\rb", "a\nb", "\r\nSet-Cookie: x", "\x7f", "0123456789abcdef\n", "\n0123456789abcdef0123"};
    static const char *const names[] = {"", "X Y", "X:", "X\r\nY", "X\n", "\xe9"};
    struct request r = request_with("GET");
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        assert_true(fields_add(&r.fields, TEXT("X"), text_of(values[i])));
        assert_true(fields_add_known(&r.fields, NAME_ACCEPT, text_of(values[i])));
    }
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_true(fields_add(&r.fields, text_of(names[i]), TEXT("v")));
    assert_true(fields_add(&r.fields, TEXT("NUL"), (struct text){"a\0b", 3}));
    assert_text(written_request(&r, to_origin()), "GET " REQUEST_LINES "\r\n");
}

static void values_of_every_size_are_written_whole(void **state)
{
    (void)state;
    char value[100];
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (char)('!' + i % 90);
    for (size_t size = 0; size <= sizeof value; size++) {
        struct request r = request_with("GET");
        assert_true(fields_add(&r.fields, TEXT("X"), (struct text){value, size}));
        struct text head = written_request(&r, to_origin());
        size_t at = text_find(head, TEXT("X: "));
        assert_true(text_equal(text_slice(head, at + 3, head.size - 4), (struct text){value, size}));
    }
}

static void a_line_end_anywhere_in_a_value_drops_the_line(void **state)
{
    (void)state;
    for (size_t size = 1; size < 70; size++)
        for (size_t at = 0; at < size; at++) {
            char value[70];
            memset(value, 'v', sizeof value);
            value[at] = '\n';
            struct request r = request_with("GET");
            assert_true(fields_add(&r.fields, TEXT("X"), (struct text){value, size}));
            assert_text(written_request(&r, to_origin()), "GET " REQUEST_LINES "\r\n");
            arena_reset(&unit_arena);
        }
}

static void a_request_that_cannot_be_written_is_not(void **state)
{
    (void)state;
    static const char *const targets[] = {"", "/a b", "/a\r\nX: y", "/\xe9", "/\n"};
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        struct request r = request_with("GET");
        struct h1_write how = to_origin();
        how.target = text_of(targets[i]);
        assert_int_equal(written_request(&r, how).size, 0);
    }
    struct request r = request_with("GE T");
    assert_int_equal(written_request(&r, to_origin()).size, 0);
    r = request_with("GET");
    struct h1_write how = to_origin();
    how.host = TEXT("a\r\nb");
    assert_int_equal(written_request(&r, how).size, 0);
}

static void a_response_is_its_line_date_and_fields(void **state)
{
    (void)state;
    struct response r = response_with(200);
    assert_true(fields_add_known(&r.fields, NAME_SERVER, TEXT("s")));
    struct h1_write how = {.keep_alive = true,
                           .date = TEXT("Sun, 06 Nov 1994 08:49:37 GMT"),
                           .body = {.kind = BODY_LENGTH, .length = 5}};
    assert_text(
        written_response(&r, how),
        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: s\r\nContent-Length: 5\r\n\r\n");
}

static void a_date_of_the_origin_stays_the_only_one(void **state)
{
    (void)state;
    struct response r = response_with(200);
    assert_true(fields_add_known(&r.fields, NAME_DATE, TEXT("then")));
    struct h1_write how = {.keep_alive = true, .date = TEXT("now"), .body = {.kind = BODY_CLOSE}};
    assert_text(written_response(&r, how), "HTTP/1.1 200 OK\r\nDate: then\r\n\r\n");
}

static void a_reason_is_kept_or_the_standard_one(void **state)
{
    (void)state;
    struct h1_write how = {.keep_alive = true};
    struct response r = response_with(404);
    r.reason = TEXT("Gone Fishing");
    assert_text(written_response(&r, how), "HTTP/1.1 404 Gone Fishing\r\nContent-Length: 0\r\n\r\n");
    r.reason = TEXT("a\r\nX: y");
    assert_text(written_response(&r, how), "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    r = response_with(499);
    assert_text(written_response(&r, how), "HTTP/1.1 499 \r\nContent-Length: 0\r\n\r\n");
}

static void connections_are_closed_or_kept_in_the_words_of_the_version(void **state)
{
    (void)state;
    struct response r = response_with(200);
    struct h1_write how = {.body = {.kind = BODY_CLOSE}};
    assert_text(written_response(&r, how), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    how.http10 = true;
    assert_text(written_response(&r, how), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    how.keep_alive = true, how.body.kind = BODY_NONE;
    assert_text(written_response(&r, how),
                "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n");
}

static void interim_and_bodiless_answers_have_no_framing(void **state)
{
    (void)state;
    struct h1_write how = {
        .keep_alive = true, .date = TEXT("now"), .body = {.kind = BODY_LENGTH, .length = 3}};
    struct response r = response_with(103);
    assert_text(written_response(&r, how), "HTTP/1.1 103 Early Hints\r\n\r\n");
    how.date.at = NULL;
    r = response_with(204);
    assert_text(written_response(&r, how), "HTTP/1.1 204 No Content\r\n\r\n");
    r = response_with(304);
    assert_text(written_response(&r, how), "HTTP/1.1 304 Not Modified\r\n\r\n");
}

static void an_upgrade_is_answered(void **state)
{
    (void)state;
    struct response r = response_with(101);
    assert_true(fields_add_known(&r.fields, NAME_UPGRADE, TEXT("websocket")));
    assert_text(written_response(&r, (struct h1_write){.upgrade = true}),
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
}

static void an_answer_to_head_tells_the_length_it_was_given(void **state)
{
    (void)state;
    struct response r = response_with(200);
    struct h1_write how = {.keep_alive = true, .head_only = true};
    assert_text(written_response(&r, how), "HTTP/1.1 200 OK\r\n\r\n");
    how.body = (struct body_framing){.kind = BODY_LENGTH, .length = 7};
    assert_text(written_response(&r, how), "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
    assert_true(fields_add_known(&r.fields, NAME_CONTENT_LENGTH, TEXT("12")));
    assert_text(written_response(&r, how), "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n");
    assert_true(fields_set_known(&r.fields, NAME_CONTENT_LENGTH, TEXT("12, 13")));
    assert_text(written_response(&r, how), "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
}

static void a_chunk_head_is_its_size_in_hexadecimal(void **state)
{
    (void)state;
    static const struct {
        uint64_t size;
        const char *wanted;
    } cases[] = {{1, "1\r\n"},    {15, "f\r\n"},      {16, "10\r\n"},
                 {255, "ff\r\n"}, {4096, "1000\r\n"}, {UINT64_MAX, "ffffffffffffffff\r\n"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char to[H1_CHUNK_HEAD_MAX];
        assert_text(((struct text){to, h1_write_chunk_head(cases[i].size, to)}), cases[i].wanted);
    }
}

static void write_an_empty_chunk(void)
{
    char to[H1_CHUNK_HEAD_MAX];
    (void)h1_write_chunk_head(0, to); /* aborts */
}

static void an_empty_chunk_is_a_programmers_error(void **state)
{
    (void)state;
    assert_true(aborts(write_an_empty_chunk));
}

static void the_last_chunk_carries_allowed_trailers(void **state)
{
    (void)state;
    char to[256];
    assert_true(h1_last_chunk_size(NULL) <= sizeof to);
    assert_text(((struct text){to, h1_write_last_chunk(NULL, to)}), "0\r\n\r\n");
    struct fields trailers;
    fields_init(&trailers, &unit_arena);
    assert_true(fields_add(&trailers, TEXT("grpc-status"), TEXT("0")));
    assert_true(fields_add(&trailers, TEXT("Content-Length"), TEXT("5")));
    assert_true(fields_add(&trailers, TEXT("X"), TEXT("a\r\nb")));
    assert_true(h1_last_chunk_size(&trailers) <= sizeof to);
    assert_text(((struct text){to, h1_write_last_chunk(&trailers, to)}), "0\r\ngrpc-status: 0\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        H1_TEST(a_request_is_its_line_host_and_fields),
        H1_TEST(a_method_that_anticipates_content_says_that_there_is_none),
        H1_TEST(other_methods_say_nothing_where_there_is_no_content),
        H1_TEST(framing_comes_from_the_body),
        H1_TEST(connection_options_are_written),
        H1_TEST(upgrade_is_written_only_when_asked_for),
        H1_TEST(fields_of_the_writer_are_left_out_whoever_added_them),
        H1_TEST(removed_lines_are_not_written),
        H1_TEST(lines_that_are_no_field_are_left_out),
        H1_TEST(values_of_every_size_are_written_whole),
        H1_TEST(a_line_end_anywhere_in_a_value_drops_the_line),
        H1_TEST(a_request_that_cannot_be_written_is_not),
        H1_TEST(a_response_is_its_line_date_and_fields),
        H1_TEST(a_date_of_the_origin_stays_the_only_one),
        H1_TEST(a_reason_is_kept_or_the_standard_one),
        H1_TEST(connections_are_closed_or_kept_in_the_words_of_the_version),
        H1_TEST(interim_and_bodiless_answers_have_no_framing),
        H1_TEST(an_upgrade_is_answered),
        H1_TEST(an_answer_to_head_tells_the_length_it_was_given),
        H1_TEST(a_chunk_head_is_its_size_in_hexadecimal),
        H1_TEST(an_empty_chunk_is_a_programmers_error),
        H1_TEST(the_last_chunk_carries_allowed_trailers),
    };
    return RUN_TESTS(tests);
}
