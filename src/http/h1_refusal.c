/* What each refusal is answered with. */
#include "http/h1.h"

#include "base/check.h"

static const struct {
    unsigned status;
    const char *text;
} h1_refusal_table[H1_REFUSALS_COUNT] = {
    [H1_FINE] = {200, "The message is fine."},
    [H1_BAD_REQUEST_LINE] = {400, "The request line is not METHOD SP TARGET SP HTTP-VERSION."},
    [H1_BAD_METHOD] = {400, "The method is not a token."},
    [H1_BAD_TARGET] = {400, "The request target is not valid."},
    [H1_BAD_VERSION] = {505, "The protocol version is not HTTP/1.x."},
    [H1_BAD_FIELD] = {400, "A field line is malformed."},
    [H1_BAD_HOST] = {400, "The Host field is missing, repeated or not valid."},
    [H1_BAD_LENGTH] = {400, "Content-Length is not one decimal number."},
    [H1_BAD_ENCODING] = {400, "Transfer-Encoding is ambiguous or not allowed here."},
    [H1_UNKNOWN_ENCODING] = {501, "The transfer coding is not supported."},
    [H1_BAD_CHUNK] = {400, "The chunked body is malformed."},
    [H1_BAD_STATUS_LINE] = {502, "The status line of the response is malformed."},
    [H1_LINE_TOO_LONG] = {414, "The request line is too long."},
    [H1_HEAD_TOO_LARGE] = {431, "The head is too large."},
    [H1_TOO_MANY_FIELDS] = {431, "The head has too many fields."},
    [H1_TRAILERS_TOO_LARGE] = {431, "The trailers have too many bytes or fields."},
    [H1_BAD_PATH] = {400, "The path has a malformed, forbidden or ambiguous part."},
    [H1_EXPECTATION_FAILED] = {417, "Only the expectation 100-continue is supported."},
    [H1_NO_MEMORY] = {503, "The message needs more memory than is allowed."},
};

unsigned h1_refusal_status(enum h1_refusal refusal)
{
    CHECK(refusal < H1_REFUSALS_COUNT);
    return h1_refusal_table[refusal].status;
}

const char *h1_refusal_text(enum h1_refusal refusal)
{
    CHECK(refusal < H1_REFUSALS_COUNT);
    return h1_refusal_table[refusal].text;
}
