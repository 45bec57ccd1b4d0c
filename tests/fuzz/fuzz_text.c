/* Text helpers on hostile bytes: what they accept is what they write back, and nothing reads past the end. */
#include "fuzz.h"

#include "base/check.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"

static void check_split(struct text t)
{
    struct text rest = t;
    size_t total = 0, parts = 0;
    while (rest.at && t.at) {
        total += text_split(&rest, ',').size;
        parts++;
    }
    CHECK(!t.at || total + parts == t.size + 1);
}

static void check_duration(struct text t)
{
    int64_t ns, again;
    char written[64];
    if (!time_parse_duration(t, &ns))
        return;
    CHECK(ns >= 0);
    CHECK(time_parse_duration(time_format_duration(ns, written), &again) && again == ns);
}

static void check_escape(struct text t)
{
    char escaped[512];
    size_t size = log_escape_json(t, escaped, sizeof escaped);
    CHECK(size <= sizeof escaped && text_is_utf8((struct text){escaped, size}));
    for (size_t i = 0; i < size; i++)
        CHECK((unsigned char)escaped[i] >= 0x20);
}

static void check_distance(struct text t)
{
    struct text a = text_slice(t, 0, t.size / 2), b = text_slice(t, t.size / 2, t.size);
    CHECK(text_distance(a, b, 5) == text_distance(b, a, 5));
    CHECK(text_distance(a, b, 5) <= 5);
    if (text_equal(a, b) && a.size <= 64)
        CHECK(text_distance(a, b, 5) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text t = {(const char *)data, size};
    uint64_t number;
    int64_t integer;
    double real;
    if (text_to_uint64(t, &number) && number <= INT64_MAX)
        CHECK(text_to_int64(t, &integer) && (uint64_t)integer == number);
    (void)text_to_double(t, &real); /* only that it reads no further than the text */
    struct text trimmed = text_trim(t);
    CHECK(text_equal(text_trim(trimmed), trimmed));
    check_split(t);
    check_duration(t);
    check_escape(t);
    check_distance(t);
    return 0;
}
