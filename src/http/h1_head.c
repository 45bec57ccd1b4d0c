/* Field lines and line ends, shared by requests, responses and trailers. */
#include "http/h1_head.h"

#include "base/check.h"
#include "http/scan.h"

bool h1_is_decided(struct text input, size_t scanned, bool section)
{
    const char *end = input.at + input.size;
    const char *at = input.at + (scanned && input.at[scanned - 1] == '\r' ? scanned - 1 : scanned);
    for (; (at = scan_control(input.at, at, end)) < end; at += 2) {
        if (*at == '\r' && at + 1 == end)
            return false;
        if (*at != '\r' || at[1] != '\n')
            return true; /* refused */
        if (at == input.at ? section : at[-1] == '\n')
            return true;
    }
    return false;
}

static bool scan_ended(struct h1_scan *scan)
{
    return h1_scan_refuse(scan, scan->beyond);
}

bool h1_scan_line_end_slow(struct h1_scan *scan, enum h1_refusal otherwise)
{
    const char *at = scan->at;
    if (at == scan->end || (*at == '\r' && at + 1 == scan->end))
        return scan_ended(scan);
    return h1_scan_refuse(scan, otherwise);
}

/* A name that is not in the table, or no name at all: a space before the colon, a folded line, a line without
 * colon. */
static bool scan_other_name(struct h1_scan *scan, const char *colon)
{
    const char *end = scan_class_end(scan->at, colon, CHAR_TOKEN);
    if (end < colon || colon == scan->at)
        return h1_scan_refuse(scan, H1_BAD_FIELD);
    return true;
}

static inline bool scan_field(struct h1_scan *scan, struct field_line *line)
{
    const char *name = scan->at, *end = scan->end;
    const char *colon = scan_char(scan->from, name, end, ':');
    line->name = (struct text){name, (size_t)(colon - name)};
    line->id = (uint8_t)field_name_parse_within(line->name, end);
    line->removed = false;
    if (line->id == NAME_OTHER && !scan_other_name(scan, colon))
        return false;
    if (colon == end)
        return scan_ended(scan);

    const char *value = colon + 1;
    if (LIKELY(value < end && *value == ' ')) /* nearly always one */
        value++;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    scan->at = scan_control(scan->from, value, end);
    const char *value_end = scan->at;
    if (!h1_scan_line_end(scan, H1_BAD_FIELD))
        return false;
    while (value_end > value && (value_end[-1] == ' ' || value_end[-1] == '\t'))
        value_end--;
    line->value = (struct text){value, (size_t)(value_end - value)};
    return true;
}

bool h1_scan_field(struct h1_scan *scan, struct field_line *line)
{
    return scan_field(scan, line);
}

bool h1_scan_fields(struct h1_scan *scan, uint32_t count_max, enum h1_refusal too_many, struct fields *fields)
{
    while (scan->at < scan->end) {
        if (*scan->at == '\r')
            return h1_scan_line_end(scan, H1_BAD_FIELD);
        if (fields->count == count_max)
            return h1_scan_refuse(scan, too_many);
        struct field_line *line = fields_reserve(fields);
        if (!line)
            return h1_scan_refuse(scan, H1_NO_MEMORY);
        if (!scan_field(scan, line))
            return false;
        fields_commit(fields);
    }
    return scan_ended(scan);
}
