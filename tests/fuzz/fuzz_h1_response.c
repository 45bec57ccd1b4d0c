/* Response heads, as fuzz_h1_request.c does it. The first byte chooses the method of the request. */
#include "fuzz.h"

#include "base/check.h"
#include "base/memory.h"
#include "http/h1.h"

static const struct h1_limits limits = {
    .line_bytes_max = 512, .head_bytes_max = 2048, .fields_max = 24, .trailer_bytes_max = 512};

static struct h1_result parse(struct text input, size_t *scanned, struct arena *arena,
                              enum http_method method, struct response *response)
{
    return h1_parse_response(input, scanned, &limits, arena, method, response);
}

static bool same_result(struct h1_result a, struct h1_result b)
{
    return a.progress == b.progress && a.refusal == b.refusal && a.consumed == b.consumed;
}

static void check_parts(struct text input, struct h1_result whole, struct arena *arena,
                        enum http_method method)
{
    struct response response;
    size_t scanned = 0, step = input.size > 256 ? input.size / 64 : 1;
    struct h1_result pieces = {.progress = H1_MORE};
    for (size_t size = 0; size <= input.size; size += step) {
        size_t none = 0;
        struct h1_result part = parse((struct text){input.at, size}, &none, arena, method, &response);
        CHECK(part.progress == H1_MORE || same_result(part, whole));
        if (pieces.progress == H1_MORE)
            pieces = parse((struct text){input.at, size}, &scanned, arena, method, &response);
        CHECK(pieces.progress == H1_MORE || same_result(pieces, whole));
        arena_reset(arena);
    }
}

static void check_response(const struct response *response, enum http_method method)
{
    CHECK(response->status >= 100 && response->status <= 599);
    CHECK(http_is_field_value(response->reason));
    CHECK(response->upgrade == (response->status == 101));
    CHECK(response->upgrade == (fields_find_known(&response->fields, NAME_UPGRADE) != NULL));
    CHECK(!response->keep_alive || response->body.kind != BODY_CLOSE);
    CHECK(response->body.length <= INT64_MAX);
    bool bare =
        method == METHOD_HEAD || response->status < 200 || response->status == 204 || response->status == 304;
    CHECK(bare == (response->body.kind == BODY_NONE));
    CHECK(!fields_find_known(&response->fields, NAME_TRANSFER_ENCODING));
    CHECK(!fields_find_known(&response->fields, NAME_CONNECTION));
    FIELDS_EACH (line, &response->fields)
        CHECK(http_is_token(line->name) && http_is_field_value(line->value));
}

static void check_round_trip(const struct response *response, struct arena *arena, enum http_method method)
{
    struct h1_write how = {
        .keep_alive = response->keep_alive,
        .upgrade = response->upgrade,
        .head_only = method == METHOD_HEAD || response->status == 304,
        .date = TEXT("Sun, 06 Nov 1994 08:49:37 GMT"),
        .body = response->body,
    };
    size_t room = h1_response_size(response, &how);
    char *head = memory_alloc(room);
    CHECK(head);
    size_t size = h1_write_response(response, &how, head);
    CHECK(size > 0 && size <= room);
    struct h1_limits wide = limits;
    wide.head_bytes_max *= 2, wide.fields_max += 8;
    struct response again;
    size_t scanned = 0;
    struct h1_result result =
        h1_parse_response((struct text){head, size}, &scanned, &wide, arena, method, &again);
    CHECK(result.progress == H1_DONE && result.consumed == size);
    CHECK(again.status == response->status && again.upgrade == response->upgrade);
    CHECK(again.body.kind == response->body.kind && again.body.length == response->body.length);
    CHECK(again.keep_alive == response->keep_alive || response->status < 200);
    memory_free(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum http_method method = data[0] % 2 ? METHOD_HEAD : METHOD_GET;
    struct text input = {(const char *)data + 1, size - 1};
    struct arena arena;
    struct response response;
    size_t scanned = 0;
    arena_init(&arena, 0, 0);
    struct h1_result result = parse(input, &scanned, &arena, method, &response);
    if (result.progress == H1_DONE) {
        check_response(&response, method);
        check_round_trip(&response, &arena, method);
    }
    arena_reset(&arena);
    check_parts(input, result, &arena, method);
    arena_release(&arena);
    return 0;
}
