/* A whole HTTP request to a service, made by the gateway itself: one head, a body that is at hand, an answer that is read whole within a
 * limit. For policies that ask others, and for health checks. Lives in the caller's arena; deadlines are the caller's. */
#pragma once

#include "upstream/attempt.h"

struct origin_call {
    /* Set by the caller. */
    void *owner;
    void (*on_over)(
        struct origin_call *
            call); /* once, unless it is cancelled; may come during origin_call_start(); it may free the call */
    struct arena *arena;
    struct upstream_worker *worker;
    const struct service *service;
    struct request request; /* method; fields are set by origin_call_start() */
    struct h1_write how;    /* target and host */
    struct text send_body;
    uint32_t body_bytes_max;
    bool cut; /* a longer body is cut there and not read on, instead of being a failure */
    struct endpoint
        *endpoint; /* NULL: the service chooses; else this one is probed, and nothing is counted */

    /* The answer. */
    struct response response;
    struct text body;
    const char *failure; /* NULL: the answer is complete; else a static sentence */

    /* Internal. */
    struct attempt attempt;
    unsigned tries;
    bool head_read, body_sent, over;
    size_t body_room;
    uint8_t interims;
};

/* `fields` (may be NULL) are copied as they are; hop-by-hop fields among them are not sent. */
void origin_call_start(struct origin_call *call, const struct fields *fields);
void origin_call_cancel(struct origin_call *call); /* on_over is not called */

/* Lets go of connection and buffers; texts of the answer are moved to `arena` first. */
void origin_call_release(struct origin_call *call, struct arena *arena);
