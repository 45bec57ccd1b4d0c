/* Requests and responses as values: what a protocol core reads and writes, and what policies see. No I/O, no
 * protocol version except as a number. Texts point into memory that lives as long as the exchange: the
 * connection's input buffer while it is held, or the exchange arena. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/text.h"
#include "http/names.h"

enum http_method {
    METHOD_OTHER, /* see `method_text` */
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_CONNECT,
    METHOD_OPTIONS,
    METHOD_TRACE,
    METHOD_PATCH,
    METHODS_COUNT
};

/* One field line. A removed one stays in place with `removed` set, so that pointers and indexes hold. */
struct field_line {
    struct text name;  /* as received; compare without case */
    struct text value; /* without surrounding whitespace */
    uint8_t id;        /* enum field_name, or NAME_OTHER */
    bool removed;
};

/* Field lines in the order received. `known` has a bit for every id that may be there: a clear bit means
 * absent. */
struct fields {
    struct field_line *lines;
    uint32_t count, capacity;
    uint64_t known[(NAMES_COUNT + 63) / 64];
    struct arena *arena; /* where the array grows; texts are not copied */
};

void fields_init(struct fields *fields, struct arena *arena);

/* A quick "no" before looking: false means that there is no such line. */
static inline bool fields_may_hold(const struct fields *fields, enum field_name id)
{
    return fields->known[id / 64] >> id % 64 & 1;
}

bool fields_grow(struct fields *fields);

/* For parsers, which fill a line in place: where the next one goes, NULL: no memory (also arena->failed). It
 * counts from the commit. */
static inline struct field_line *fields_reserve(struct fields *fields)
{
    return fields->count < fields->capacity || fields_grow(fields) ? &fields->lines[fields->count] : NULL;
}
static inline void fields_commit(struct fields *fields)
{
    uint8_t id = fields->lines[fields->count++].id;
    fields->known[id / 64] |= 1ull << id % 64;
}

/* Appends; `name` and `value` must live as long as the fields. False: no memory (also arena->failed). The
 * second form finds the id. */
bool fields_add_known(struct fields *fields, enum field_name id, struct text value);
bool fields_add(struct fields *fields, struct text name, struct text value);

/* Replaces all lines of that name by one (appended where there was none). */
bool fields_set_known(struct fields *fields, enum field_name id, struct text value);
bool fields_set(struct fields *fields, struct text name, struct text value);

unsigned fields_remove_known(struct fields *fields, enum field_name id); /* how many were removed */
unsigned fields_remove(struct fields *fields, struct text name);

/* First line with that name, NULL: none. */
struct field_line *fields_find_known(const struct fields *fields, enum field_name id);
struct field_line *fields_find(const struct fields *fields, struct text name);

/* Value of the first, an empty text with .at NULL: none. */
struct text fields_get_known(const struct fields *fields, enum field_name id);
struct text fields_get(const struct fields *fields, struct text name);

/* All values of that name joined by ", " (RFC 9110 section 5.3), in `arena` where there are several; .at
 * NULL: none. */
struct text fields_joined(const struct fields *fields, struct text name, struct arena *arena);

/* Walks the lines that are there. */
#define FIELDS_EACH(line, fields)                                                                            \
    for (struct field_line *line = (fields)->lines; line && line < (fields)->lines + (fields)->count;        \
         line++)                                                                                             \
        if (!line->removed)

/* How the body of a message is delimited (RFC 9112 section 6.3). */
enum body_kind {
    BODY_NONE,    /* no content at all */
    BODY_LENGTH,  /* `length` bytes */
    BODY_CHUNKED, /* chunked, with trailers perhaps; other protocols without a length map to this */
    BODY_CLOSE,   /* responses only: until the connection ends */
};

struct body_framing {
    enum body_kind kind;
    uint64_t length; /* for BODY_LENGTH */
};

struct request {
    struct text method_text;
    enum http_method method;
    struct text target;    /* request-target as received */
    struct text scheme;    /* "http" or "https", of the connection or the absolute-form */
    struct text authority; /* Host as received (or the absolute-form's, RFC 9112 section 3.2.2) */
    struct text host;      /* authority without port, lower case, no final dot */
    struct text path;      /* normalised (http/uri.h), at least "/", or "*" for OPTIONS */
    struct text query;     /* without '?'; .at NULL: no '?' in the target */
    uint8_t version_minor; /* HTTP/1.x; 1 for others */
    bool keep_alive;       /* the client lets the connection stay open */
    bool expects_continue; /* Expect: 100-continue */
    bool upgrade;          /* Connection: upgrade with an Upgrade field */
    bool te_trailers;      /* TE: trailers, the client takes trailers */
    struct body_framing body;
    struct fields fields;   /* framing and hop-by-hop fields already removed by the protocol core */
    struct fields trailers; /* after the body has been read */
};

struct response {
    uint16_t status;    /* 100 to 599 */
    struct text reason; /* HTTP/1.1 only; may be empty: the standard phrase is sent */
    uint8_t version_minor;
    bool keep_alive;
    bool upgrade; /* 101 */
    struct body_framing body;
    struct fields fields;
    struct fields trailers;
};

/* METHOD_OTHER for one that is not listed. Case-sensitive. */
enum http_method method_parse(struct text name);
struct text method_text(enum http_method method);
bool method_is_idempotent(enum http_method method); /* RFC 9110 section 9.2.2 */
bool method_is_safe(enum http_method method);

/* The standard reason phrase, "" for an unassigned status. */
struct text status_reason(unsigned status);

/* RFC 9110 section 5.6.2 token and section 5.5 field value (no CR, LF, NUL; no other control byte but tab).
 * */
bool http_is_token(struct text t);
bool http_is_field_value(struct text t);

/* Does the comma-separated list `value` hold `member`, without case (RFC 9110 section 5.6.1)? */
bool http_list_contains(struct text value, struct text member);
