/* Reads Retry-After. */
#include "http/retry_after.h"

#include <time.h>

#include "base/check.h"
#include "base/time.h"

static bool number_at(struct text t, size_t at, size_t digits, int *ret_number)
{
    uint64_t number;
    if (!text_to_uint64(text_slice(t, at, at + digits), &number))
        return false;
    *ret_number = (int)number;
    return true;
}

/* IMF-fixdate, the form that senders must use: "Sun, 06 Nov 1994 08:49:37 GMT". */
static bool parse_date(struct text t, int64_t *ret_wall_ns)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm parts = {0};
    if (t.size != TIME_HTTP_SIZE || !text_ends_with(t, TEXT(" GMT")) || t.at[16] != ' ' || t.at[19] != ':'
        || t.at[22] != ':' || !number_at(t, 5, 2, &parts.tm_mday) || !number_at(t, 12, 4, &parts.tm_year)
        || !number_at(t, 17, 2, &parts.tm_hour) || !number_at(t, 20, 2, &parts.tm_min)
        || !number_at(t, 23, 2, &parts.tm_sec))
        return false;
    size_t month = text_find(text_of(months), text_slice(t, 8, 11));
    if (month == TEXT_NONE || month % 3)
        return false;
    parts.tm_mon = (int)(month / 3);
    parts.tm_year -= 1900;
    *ret_wall_ns = (int64_t)timegm(&parts) * NS_PER_SECOND;
    return true;
}

int64_t retry_after_ms(struct text value, int64_t wall_ns)
{
    uint64_t seconds;
    int64_t date_ns;
    value = text_trim(value);
    if (text_to_uint64(value, &seconds))
        return (int64_t)MIN_OF(seconds, (uint64_t)RETRY_AFTER_MAX_MS / 1000) * 1000;
    if (!parse_date(value, &date_ns) || date_ns <= wall_ns)
        return 0;
    return MIN_OF((date_ns - wall_ns) / NS_PER_MS, (int64_t)RETRY_AFTER_MAX_MS);
}
