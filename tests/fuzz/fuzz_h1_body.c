/* Bodies: bytes that come in pieces give the same payload, trailers and end as those that come at once. The
 * first byte chooses the framing, the second how the input is cut. */
#include "fuzz.h"

#include "base/check.h"
#include "base/memory.h"
#include "http/h1.h"

static const struct h1_limits limits = {.fields_max = 8, .trailer_bytes_max = 256};

struct outcome {
    struct h1_result result;
    char *payload;
    size_t payload_size, consumed;
    struct fields trailers;
    enum h1_progress end; /* if the connection ended here */
};

/* Feeds the input as a connection would: at most `step` new bytes at a time, what was not consumed is kept. */
static struct outcome read_all(struct text input, struct body_framing framing, size_t step,
                               struct arena *arena)
{
    struct outcome outcome = {.result = {.progress = H1_MORE}, .payload = memory_alloc(input.size)};
    CHECK(outcome.payload);
    struct h1_body body;
    h1_body_init(&body, framing);
    fields_init(&outcome.trailers, arena);
    size_t known = 0;
    for (bool stuck = true; outcome.result.progress == H1_MORE && (!stuck || known < input.size);) {
        if (stuck)
            known = known + step < input.size ? known + step : input.size;
        struct text fresh = text_slice(input, outcome.consumed, known), payload;
        size_t consumed;
        outcome.result = h1_body_read(&body, fresh, &limits, arena, &outcome.trailers, &consumed, &payload);
        CHECK(consumed <= fresh.size && payload.size <= consumed);
        CHECK(payload.size == 0
              || (payload.at >= fresh.at && payload.at + payload.size <= fresh.at + fresh.size));
        if (payload.size)
            memcpy(outcome.payload + outcome.payload_size, payload.at, payload.size);
        outcome.payload_size += payload.size;
        outcome.consumed += consumed;
        stuck = consumed == 0 || outcome.consumed == known;
    }
    outcome.end = h1_body_end(&body);
    return outcome;
}

static void check_same_trailers(const struct fields *a, const struct fields *b)
{
    CHECK(a->count == b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        CHECK(text_equal_nocase(a->lines[i].name, b->lines[i].name));
        CHECK(text_equal(a->lines[i].value, b->lines[i].value));
    }
}

static void check_same(const struct outcome *whole, const struct outcome *cut)
{
    CHECK(whole->result.progress == cut->result.progress && whole->result.refusal == cut->result.refusal);
    if (whole->result.progress
        == H1_REFUSED) /* the payload before the refusal may or may not have been given */
        return;
    CHECK(whole->payload_size == cut->payload_size && whole->consumed == cut->consumed
          && whole->end == cut->end);
    CHECK(!memcmp(whole->payload, cut->payload, whole->payload_size));
    if (whole->result.progress == H1_DONE)
        check_same_trailers(&whole->trailers, &cut->trailers);
}

static void check_outcome(const struct outcome *outcome, struct body_framing framing, size_t size)
{
    bool done = outcome->result.progress == H1_DONE;
    switch (framing.kind) {
    case BODY_NONE: CHECK(done || size == 0); break;
    case BODY_LENGTH:
        CHECK(done ? outcome->payload_size == framing.length : outcome->payload_size == size || size == 0);
        break;
    case BODY_CLOSE: CHECK(!done && outcome->payload_size == size && outcome->end == H1_DONE); break;
    case BODY_CHUNKED: CHECK(outcome->payload_size < size || size == 0); break;
    }
    FIELDS_EACH (line, &outcome->trailers)
        CHECK(http_is_token(line->name) && http_is_field_value(line->value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct text input = {(const char *)data + 2, size - 2};
    struct body_framing framing = {.kind = BODY_CHUNKED};
    if (data[0] % 8 == 7)
        framing = (struct body_framing){.kind = (enum body_kind)(data[0] >> 6), .length = data[0] >> 3};
    if (framing.kind != BODY_LENGTH)
        framing.length = 0;
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct outcome whole = read_all(input, framing, input.size + 1, &arena);
    struct outcome cut = read_all(input, framing, 1 + data[1] % 16, &arena);
    struct outcome single = read_all(input, framing, 1, &arena);
    check_outcome(&whole, framing, input.size);
    check_same(&whole, &cut);
    check_same(&whole, &single);
    memory_free(whole.payload);
    memory_free(cut.payload);
    memory_free(single.payload);
    arena_release(&arena);
    return 0;
}
