/* What an active check asks an endpoint, and what it takes for well. Immutable part of a service. */
#pragma once

#include "config/field.h"
#include "http/message.h"
#include "upstream/status_set.h"

/* HTTP over TLS where the endpoint is an https URL. gRPC has its place here; it comes with HTTP/2 towards origins. */
enum health_check_type { CHECK_HTTP, CHECK_TCP };

struct health_check {
    int type; /* enum health_check_type */
    int method;
    struct text path;     /* and query */
    struct text host;     /* empty: the service's, or the endpoint's own */
    struct array headers; /* struct text_pair */
    struct text body;
    struct status_set statuses;
    struct text contains;      /* in the body; empty: anything */
    const struct expr *expect; /* NULL: nothing */
    int64_t body_bytes_max;
    int64_t interval_ms, unhealthy_interval_ms, timeout_ms; /* interval_ms 0: there are no checks */
    double jitter;
    int64_t rise, fall;
    int initial; /* 0: used before its first check, 1: not */
};

extern const struct field health_check_fields[];

/* Cross-field checks; the copy that lives in binder->arena, or NULL: reported. */
const struct health_check *health_check_build(struct binder *binder, const struct node *node,
                                              const struct health_check *config);

enum http_method health_check_method(const struct health_check *check);

/* How many bytes of an answer's body it looks at. */
uint32_t health_check_body_bytes(const struct health_check *check);

/* Is the answer as expected? If not, `said` tells what was expected and what came. `body` is what there is of it, up to the limit. */
enum { HEALTH_SAID_MAX = 200 };
bool health_check_judge(const struct health_check *check, const struct response *response, struct text body,
                        struct arena *arena, int64_t wall_ns, char said[HEALTH_SAID_MAX]);
