/* What the tests of the HTTP/1 parsers share: parsing of a whole text with ordinary limits, in one arena per
 * test. */
#pragma once

#include "unit.h"

#include "base/check.h"
#include "base/memory.h"
#include "http/h1.h"

static const struct h1_limits usual_limits = {
    .line_bytes_max = 8192,
    .head_bytes_max = 32768,
    .fields_max = 100,
    .trailer_bytes_max = 8192,
    .paths = {.merge_slashes = true, .encoded_slashes = SLASHES_REJECT},
};

static struct arena unit_arena;

static inline int unit_setup(void **state)
{
    (void)state;
    arena_init(&unit_arena, 0, 0);
    return 0;
}

static inline int unit_teardown(void **state)
{
    (void)state;
    arena_release(&unit_arena);
    return 0;
}

#define H1_TEST(name)        cmocka_unit_test_setup_teardown(name, unit_setup, unit_teardown)
#define TEXT_OF_ARRAY(bytes) ((struct text){(bytes), sizeof(bytes) - 1})

static inline struct h1_result request_of(struct text input, struct request *request)
{
    size_t scanned = 0;
    return h1_parse_request(input, &scanned, &usual_limits, &unit_arena, request);
}

static inline struct h1_result response_of(struct text input, enum http_method method,
                                           struct response *response)
{
    size_t scanned = 0;
    return h1_parse_response(input, &scanned, &usual_limits, &unit_arena, method, response);
}

/* A copy in a block of exactly its size, so that AddressSanitizer sees a read past the end. */
static inline struct text exact_copy(struct text from)
{
    char *copy = memory_alloc(from.size);
    assert_non_null(copy);
    if (from.size)
        memcpy(copy, from.at, from.size);
    return (struct text){copy, from.size};
}

static inline void assert_request_refused(const char *head, enum h1_refusal wanted)
{
    struct request request;
    struct text copy = exact_copy(text_of(head));
    struct h1_result result = request_of(copy, &request);
    memory_free((char *)copy.at);
    if (result.progress != H1_REFUSED || result.refusal != wanted)
        fail_msg("%s\ngave %d, %s", head, (int)result.progress, h1_refusal_text(result.refusal));
    assert_int_equal(result.consumed, 0);
}
