/* A path template as it is written, `/orders/{id:int}/{part}.json`, taken apart into the one that the router knows, without types and with its
 * literal text in the form that requests have, and the types. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "proxy/condition.h"
#include "proxy/router.h"

struct route_capture {
    struct text written; /* "{id:int}" */
    struct text name;
    struct capture_place place;
};

struct route_template {
    struct text path; /* "/orders/{id}/{part}.json" */
    struct route_capture captures[ROUTER_CAPTURES_MAX];
    size_t captures_count;
};

/* Texts live in `drafts`, compiled expressions in `arena`. False: `*reterr` says why; what the router refuses is left to router_check_path(). */
bool route_template_read(struct arena *arena, struct arena *drafts, struct text written,
                         struct route_template *ret_template, struct error *reterr);

/* The literal text of an exact path or of a prefix in the form that requests have. */
bool route_literal_normal(struct arena *arena, struct text literal, struct text *ret_literal);
