/* What a route asks of a request besides host and path: one test on one thing of it.
 *
 * A condition is built once, with the snapshot, and tried only on requests that the router leaves the route as a candidate for. Nothing is
 * allocated on the heap but by a thread's first regular expression. */
#pragma once

#include "expr/expr.h"
#include "http/message.h"
#include "net/address.h"

struct exchange;
struct pattern;
struct router;
struct time_window;

/* In the order in which they are tried: what costs little first. */
enum condition_kind {
    CONDITION_METHOD,
    CONDITION_LISTENER,
    CONDITION_SCHEME,
    CONDITION_SNI,
    CONDITION_CLIENT,
    CONDITION_LOCAL,
    CONDITION_CAPTURE, /* the type of what a template captures */
    CONDITION_HEADER,
    CONDITION_QUERY,
    CONDITION_COOKIE,
    CONDITION_CONTENT_TYPE,
    CONDITION_TIME,
    CONDITION_HOST, /* only in `not`: the index has the others */
    CONDITION_PATH,
    CONDITION_EXPRESSION,
    CONDITION_KINDS
};

/* Of headers, query parameters and cookies. */
enum condition_test { TEST_PRESENT, TEST_ABSENT, TEST_ONE_OF, TEST_PREFIX, TEST_REGEX };

struct method_set {
    uint32_t known; /* bits by enum http_method */
    const struct text *others;
    size_t others_count;
};

/* A local address: a network, a port, or both. */
struct local_range {
    struct cidr network;
    uint16_t port; /* 0: any */
};

enum capture_type { CAPTURE_TEXT, CAPTURE_INT, CAPTURE_UUID, CAPTURE_REGEX };

/* Where a template captures: the segment of the path (from 0), and the literal bytes around it. */
struct capture_place {
    uint16_t segment, before, after;
    enum capture_type type;
    const struct pattern *pattern; /* CAPTURE_REGEX */
};

struct condition {
    uint8_t kind; /* enum condition_kind */
    uint8_t test; /* enum condition_test */
    uint8_t field_id;
    bool negated;
    bool needs_body;
    struct text
        name; /* of a header, parameter, cookie, capture; else what was written, where that is one text */
    union {
        struct { /* texts of tests, listeners, schemes, media types */
            const struct text *values;
            size_t values_count;
        };
        const struct pattern *pattern; /* TEST_REGEX */
        struct method_set methods;
        struct {
            const struct cidr *networks;
            size_t networks_count;
            const struct cidr_set *network_set;
        };
        struct {
            const struct local_range *locals;
            size_t locals_count;
        };
        struct {
            const struct time_window *windows;
            size_t windows_count;
        };
        struct capture_place capture;
        const struct router *patterns; /* CONDITION_SNI, CONDITION_HOST, CONDITION_PATH: a router of them */
        const struct expr *expression;
    };
};

/* One request, while its route is looked for. */
struct match_subject {
    struct exchange *exchange;
    struct address local;    /* where the client connected to */
    struct text server_name; /* of the TLS handshake, in lower case; .at NULL: not asked for yet */
    bool local_known;
    bool body_here; /* the body is whole, or there is none */
};

enum condition_result {
    CONDITION_HOLDS,
    CONDITION_FAILS,
    CONDITION_OPEN,  /* the body must be read first */
    CONDITION_FAULT, /* its expression failed: it does not hold, negated or not */
};

/* `reterr` may be NULL. */
enum condition_result condition_try(const struct condition *condition, struct match_subject *subject,
                                    struct expr_error *reterr);

/* Why one that did not hold does not, for people: "its client networks do not hold 10.1.2.3". In the exchange's arena. */
struct text condition_why_not(const struct condition *condition, struct match_subject *subject,
                              enum condition_result result, const struct expr_error *error);

static inline bool method_set_is_empty(const struct method_set *set)
{
    return !set->known && !set->others_count;
}

/* Does a set of methods hold that of a request? A CORS preflight asks for the method that it announces. */
bool method_set_holds(const struct method_set *set, const struct request *request, bool negated);

/* The captured part of the path, .at NULL: the path has no such segment. */
struct text capture_value(const struct capture_place *place, struct text path);
bool capture_fits(const struct capture_place *place, struct text value);

/* Does `type/subtype`, `type/` + `*`, `*` + `/` + `*` or a `*+suffix` range hold a media type without its parameters? */
bool media_range_holds(struct text range, struct text type);
