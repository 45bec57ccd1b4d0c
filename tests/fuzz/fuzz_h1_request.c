/* Request heads. Bytes that come in pieces end as those that come at once; a part is refused only for the
 * reason of the whole; what is accepted holds what the headers promise, and is the same request when it is
 * written and read again. */
#include "fuzz.h"

#include "base/check.h"
#include "base/memory.h"
#include "http/h1.h"

static const struct h1_limits limits = {
    .line_bytes_max = 512,
    .head_bytes_max = 2048,
    .fields_max = 24,
    .trailer_bytes_max = 512,
    .paths = {.merge_slashes = true, .encoded_slashes = SLASHES_REJECT},
};

static struct h1_result parse(struct text input, size_t *scanned, struct arena *arena,
                              struct request *request)
{
    return h1_parse_request(input, scanned, &limits, arena, request);
}

static bool same_result(struct h1_result a, struct h1_result b)
{
    return a.progress == b.progress && a.refusal == b.refusal && a.consumed == b.consumed;
}

/* Each prefix alone, in a block of its size. */
static void check_prefixes(struct text input, struct h1_result whole, struct arena *arena)
{
    size_t step = input.size > 256 ? input.size / 64 : 1;
    for (size_t size = 0; size < input.size; size += step) {
        char *copy = memory_alloc(size);
        CHECK(copy);
        memcpy(copy, input.at, size);
        size_t scanned = 0;
        struct request request;
        struct h1_result part = parse((struct text){copy, size}, &scanned, arena, &request);
        CHECK(part.progress == H1_MORE || same_result(part, whole));
        CHECK(part.progress != H1_DONE || size >= whole.consumed);
        arena_reset(arena);
        memory_free(copy);
    }
}

/* Piece by piece, with the memory of what was scanned. */
static void check_pieces(struct text input, struct h1_result whole, struct arena *arena)
{
    size_t scanned = 0, step = 1 + input.size % 7;
    struct h1_result result = {.progress = H1_MORE};
    struct request request;
    for (size_t size = 0; size < input.size && result.progress == H1_MORE;) {
        size = size + step < input.size ? size + step : input.size;
        result = parse((struct text){input.at, size}, &scanned, arena, &request);
    }
    bool late =
        result.progress == H1_MORE && whole.progress == H1_REFUSED; /* judged when the head is complete */
    CHECK(same_result(result, whole)
          || (late && text_find(text_slice(input, 2, input.size), TEXT("\r\n\r\n")) == TEXT_NONE));
    arena_reset(arena);
}

static void check_fields(const struct fields *fields)
{
    static const enum field_name taken[] = {
        NAME_HOST, NAME_CONTENT_LENGTH,   NAME_TRANSFER_ENCODING, NAME_CONNECTION,
        NAME_TE,   NAME_PROXY_CONNECTION, NAME_KEEP_ALIVE,        NAME_EXPECT,
    };
    FIELDS_EACH (line, fields) {
        CHECK(http_is_token(line->name) && http_is_field_value(line->value));
        CHECK(line->id == field_name_parse(line->name));
        CHECK(text_trim(line->value).size == line->value.size);
    }
    for (size_t i = 0; i < COUNT_OF(taken); i++)
        CHECK(!fields_find_known(fields, taken[i]));
}

static void check_request(const struct request *request)
{
    CHECK(http_is_token(request->method_text) && request->method == method_parse(request->method_text));
    CHECK(request->path.size && (request->path.at[0] == '/' || text_equal(request->path, TEXT("*"))));
    CHECK(request->body.kind != BODY_CLOSE && request->body.length <= INT64_MAX);
    CHECK(request->version_minor == 0 || request->host.size);
    CHECK(request->upgrade == (fields_find_known(&request->fields, NAME_UPGRADE) != NULL));
    for (size_t i = 0; i < request->host.size; i++)
        CHECK(request->host.at[i] == char_lower(request->host.at[i]));
    check_fields(&request->fields);
}

static void check_same(const struct request *a, const struct request *b)
{
    CHECK(text_equal(a->method_text, b->method_text) && text_equal(a->path, b->path));
    CHECK(text_equal(a->query, b->query) && !a->query.at == !b->query.at && text_equal(a->host, b->host));
    CHECK(a->upgrade == b->upgrade && b->keep_alive && a->te_trailers == b->te_trailers);
    CHECK(a->body.length == b->body.length);
    CHECK((a->body.kind == BODY_CHUNKED) == (b->body.kind == BODY_CHUNKED));
    struct field_line *other = b->fields.lines;
    FIELDS_EACH (line, &a->fields) {
        if (line->id == NAME_UPGRADE)
            continue;
        while (other->removed || other->id == NAME_UPGRADE)
            other++;
        CHECK(text_equal_nocase(line->name, other->name) && text_equal(line->value, other->value));
        other++;
    }
}

/* The written form is read back with room for what the writer adds. */
static void check_round_trip(const struct request *request, struct arena *arena)
{
    struct text parts[] = {request->path, TEXT("?"), request->query};
    struct h1_write how = {
        .target = arena_join(arena, parts, request->query.at ? 3 : 1),
        .host = request->host.size ? request->host : TEXT("origin"),
        .keep_alive = true,
        .upgrade = request->upgrade,
        .te_trailers = request->te_trailers,
        .body = request->body,
    };
    size_t room = h1_request_size(request, &how);
    char *head = memory_alloc(room);
    CHECK(head);
    size_t size = h1_write_request(request, &how, head);
    CHECK(size > 0 && size <= room);
    struct h1_limits wide = limits;
    wide.line_bytes_max *= 2, wide.head_bytes_max *= 2, wide.fields_max += 8;
    struct request again;
    size_t scanned = 0;
    struct h1_result result = h1_parse_request((struct text){head, size}, &scanned, &wide, arena, &again);
    CHECK(result.progress == H1_DONE && result.consumed == size);
    if (!request->host.size)
        again.host = TEXT("");
    check_same(request, &again);
    memory_free(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text input = {(const char *)data, size};
    struct arena arena, tight;
    struct request request;
    size_t scanned = 0;
    arena_init(&arena, 0, 0);
    arena_init(&tight, 256, 1024);
    struct h1_result result = parse(input, &scanned, &arena, &request);
    CHECK(!arena.failed);
    if (result.progress == H1_DONE) {
        CHECK(result.consumed <= size);
        check_request(&request);
        check_round_trip(&request, &arena);
    }
    arena_reset(&arena);
    check_prefixes(input, result, &arena);
    check_pieces(input, result, &arena);
    scanned = 0;
    struct h1_result poor = parse(input, &scanned, &tight, &request);
    CHECK(same_result(poor, result) || (poor.refusal == H1_NO_MEMORY && tight.failed));
    arena_release(&arena);
    arena_release(&tight);
    return 0;
}
