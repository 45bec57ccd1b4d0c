/* Inside http/: what the parsers of requests, responses and trailers share. A head is read from left to right
 * and each byte judged when it is come to, so a part of a head is refused only if the whole would be, and for
 * the same reason. */
#pragma once

#include "base/check.h"
#include "http/h1.h"

struct h1_scan {
    const char *from;        /* the start of the input */
    const char *at, *end;    /* what may be read: the input, but not beyond the limit */
    enum h1_refusal beyond;  /* what it means to come to the end: H1_FINE where more bytes may follow */
    enum h1_refusal refusal; /* set by what returns false; H1_FINE: more bytes are needed */
};

/* A scan over the first `bytes_max` of `input`; to need more than these is refused as `too_large`. */
static inline struct h1_scan h1_scan_of(struct text input, size_t bytes_max, enum h1_refusal too_large)
{
    bool limited = input.size >= bytes_max;
    return (struct h1_scan){
        .from = input.at,
        .at = input.at,
        .end = input.at + (limited ? bytes_max : input.size),
        .beyond = limited ? too_large : H1_FINE,
    };
}

static inline bool h1_scan_refuse(struct h1_scan *scan, enum h1_refusal refusal)
{
    scan->refusal = refusal;
    return false;
}

static inline struct h1_result h1_refused(enum h1_refusal refusal)
{
    return (struct h1_result){.progress = H1_REFUSED, .refusal = refusal};
}

/* What a scan that returned false has come to. */
static inline struct h1_result h1_scan_stopped(const struct h1_scan *scan)
{
    return scan->refusal == H1_FINE ? (struct h1_result){.progress = H1_MORE} : h1_refused(scan->refusal);
}

/* Do the bytes of `input` after `scanned` (all before were said to decide nothing) hold one that does: the
 * end of an empty line, or a control byte that is refused? If not, to parse again would be in vain.
 * `section`: the input begins after a line end, as trailers do. */
bool h1_is_decided(struct text input, size_t scanned, bool section);

bool h1_scan_line_end_slow(struct h1_scan *scan, enum h1_refusal otherwise);

/* Takes CRLF. */
static inline bool h1_scan_line_end(struct h1_scan *scan, enum h1_refusal otherwise)
{
    if (LIKELY(scan->end - scan->at >= 2 && scan->at[0] == '\r' && scan->at[1] == '\n')) {
        scan->at += 2;
        return true;
    }
    return h1_scan_line_end_slow(scan, otherwise);
}

/* Reads one field line into `*line`. */
bool h1_scan_field(struct h1_scan *scan, struct field_line *line);

/* Reads field lines up to and with the empty line; more than `count_max` are refused as `too_many`. */
bool h1_scan_fields(struct h1_scan *scan, uint32_t count_max, enum h1_refusal too_many,
                    struct fields *fields);

/* The fields that say where a message ends and what becomes of the connection: taken out of the others. */
struct h1_control {
    struct text host, length, encoding; /* the last of each */
    uint32_t hosts_count, lengths_count, encodings_count;
    uint32_t first_connection; /* index of the first Connection line */
    bool has_connection, has_upgrade, has_expect, te_trailers;
    bool expects_other;              /* an Expect that is not 100-continue */
    bool close, keep_alive, upgrade; /* options of Connection */
};

/* Takes the control fields out of `fields`: Host, Content-Length, Transfer-Encoding, Connection, Keep-Alive,
 * Proxy-Connection, TE and Expect. */
void h1_take_control(struct fields *fields, struct h1_control *control);

/* Reads the Connection lines and removes the fields that they nominate (RFC 9110 section 7.6.1), and Upgrade
 * unless it is nominated. To nominate very many is refused. */
enum h1_refusal h1_take_connection(struct fields *fields, struct h1_control *control);

/* Content-Length as one number (RFC 9112 section 6.3: lists and repeated lines are refused even where all are
 * the same). */
enum h1_refusal h1_read_length(const struct h1_control *control, uint64_t *ret_length);

/* Transfer-Encoding: H1_FINE only for one line that says exactly "chunked". */
enum h1_refusal h1_check_encoding(const struct h1_control *control, uint8_t version_minor);

/* May this field be sent in a trailer section? Not framing, routing, authentication, request modifiers, nor
 * what says how to read the content (RFC 9110 section 6.5.1): of the names in names.def only ETag. */
bool h1_is_trailer(const struct field_line *line);
