/* What HTTP/1 heads cost: nanoseconds to parse and to write requests and a response, and to read a chunk. The best of
 * several runs counts, since whatever else the machine does only adds.
 *
 *     build/tests/bench/micro_http [rounds] */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/time.h"
#include "http/h1.h"

enum { RUNS = 7, HEAD_MAX = 4096 };

static const struct h1_limits limits = {
    .line_bytes_max = 8192,
    .head_bytes_max = 32768,
    .fields_max = 100,
    .trailer_bytes_max = 8192,
    .paths = {.merge_slashes = true, .encoded_slashes = SLASHES_REJECT},
};

static const struct text tool = TEXT_INIT("GET /users/42 HTTP/1.1\r\n"
                                          "Host: api.example.com\r\n"
                                          "User-Agent: curl/8.1.2\r\n"
                                          "Accept: */*\r\n\r\n");
static const struct text browser =
    TEXT_INIT("GET /api/v1/products?category=shoes&page=2 HTTP/1.1\r\n"
              "Host: shop.example.com\r\n"
              "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0\r\n"
              "Accept: application/json,text/plain,*/*;q=0.8\r\n"
              "Accept-Language: en-GB,en;q=0.5\r\n"
              "Accept-Encoding: gzip, deflate, br\r\n"
              "Referer: https://shop.example.com/products\r\n"
              "Connection: keep-alive\r\n"
              "Cookie: session=3f8a6c1b9d2e4f70; theme=dark\r\n"
              "X-API-Key: 5a105e8b9d40e1329780d62ea2265d8a\r\n"
              "X-Request-ID: 7f3e2d1c\r\n\r\n");
static const struct text answer = TEXT_INIT("HTTP/1.1 200 OK\r\n"
                                            "Server: nginx\r\n"
                                            "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
                                            "Content-Type: application/json\r\n"
                                            "Content-Length: 1024\r\n"
                                            "Connection: keep-alive\r\n"
                                            "Cache-Control: max-age=60\r\n"
                                            "ETag: \"abcdef\"\r\n"
                                            "Vary: Accept-Encoding\r\n\r\n");

static struct arena arena;
static char written[HEAD_MAX];

static void parse_request(struct text head)
{
    struct request request;
    size_t scanned = 0;
    CHECK(h1_parse_request(head, &scanned, &limits, &arena, &request).progress == H1_DONE);
    arena_reset(&arena);
}

static void parse_response(struct text head)
{
    struct response response;
    size_t scanned = 0;
    CHECK(h1_parse_response(head, &scanned, &limits, &arena, METHOD_GET, &response).progress == H1_DONE);
    arena_reset(&arena);
}

/* Parsed once; only the writing is measured. */
static struct request request_parsed;
static struct response response_parsed;

static void write_request(struct text head)
{
    (void)head; /* it was parsed before */
    struct h1_write how = {
        .target = request_parsed.target, .host = request_parsed.authority, .keep_alive = true};
    CHECK(h1_request_size(&request_parsed, &how) <= sizeof written);
    CHECK(h1_write_request(&request_parsed, &how, written) > 0);
}

static void write_response(struct text head)
{
    (void)head; /* it was parsed before */
    struct h1_write how = {.keep_alive = true, .body = response_parsed.body};
    CHECK(h1_response_size(&response_parsed, &how) <= sizeof written);
    CHECK(h1_write_response(&response_parsed, &how, written) > 0);
}

static void read_chunk(struct text chunk)
{
    struct h1_body body;
    struct text payload;
    size_t consumed;
    h1_body_init(&body, (struct body_framing){.kind = BODY_CHUNKED});
    CHECK(h1_body_read(&body, chunk, &limits, &arena, NULL, &consumed, &payload).progress == H1_DONE);
}

static void measure(const char *name, void (*run)(struct text input), struct text input, long rounds)
{
    int64_t best = INT64_MAX;
    uint64_t calls = memory_calls();
    for (int turn = 0; turn < RUNS; turn++) {
        int64_t start = time_monotonic_ns();
        for (long i = 0; i < rounds; i++)
            run(input);
        best = MIN_OF(best, time_monotonic_ns() - start);
    }
    printf("%-34s %4zu bytes %8.1f ns   %llu allocations\n", name, input.size, (double)best / (double)rounds,
           (unsigned long long)(memory_calls() - calls));
}

int main(int count, char **arguments)
{
    long rounds = count > 1 ? strtol(arguments[1], NULL, 10) : 300000;
    size_t scanned = 0;
    arena_init(&arena, 0, 0);
    measure("parse a request of a tool", parse_request, tool, rounds);
    measure("parse a request of a browser", parse_request, browser, rounds);
    measure("parse a response", parse_response, answer, rounds);
    measure("read a chunk and the last one", read_chunk, TEXT("5\r\nhello\r\n0\r\n\r\n"), rounds);
    (void)h1_parse_request(browser, &scanned, &limits, &arena, &request_parsed); /* parsed above */
    measure("write the browser's request", write_request, browser, rounds);
    scanned = 0;
    (void)h1_parse_response(answer, &scanned, &limits, &arena, METHOD_GET,
                            &response_parsed); /* parsed above */
    measure("write the response", write_response, answer, rounds);
    arena_release(&arena);
    return 0;
}
