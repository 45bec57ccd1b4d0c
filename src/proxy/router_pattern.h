/* Host and path patterns, taken apart into the steps by which the tree is walked when a route is added or
 * removed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "proxy/router.h"

/* What may stand at a node of the tree besides its children, in the order in which a match tries it. The
 * first comes before the children (both cannot fit), the others after. */
enum route_slot {
    SLOT_EXACT,    /* the text ends here */
    SLOT_REGEX,    /* a regular expression whose literal beginning ends here */
    SLOT_SUFFIXES, /* a capture up to the end of the segment, before one of several suffixes */
    SLOT_CAPTURE,  /* a capture up to the end of the segment */
    SLOT_REST,     /* a capture of all that is left, at least one byte */
    SLOT_SEGMENTS, /* the text ends here or goes on with '/' */
    SLOT_RAW,      /* whatever follows */
};

/* Walk down `key`, then go on with what stands in `slot`. */
struct route_step {
    struct text key;
    enum route_slot slot;
};

enum {
    ROUTE_STEPS_MAX = 2 * ROUTER_CAPTURES_MAX + 2, /* host, two for each capture, the end */
    ROUTE_HOST_MAX = 255,
};

struct route_pattern {
    enum path_form form;
    struct text regex; /* .at NULL: none */
    struct text names[ROUTER_CAPTURES_MAX];
    size_t names_count;
    struct route_step
        steps[ROUTE_STEPS_MAX]; /* the first is left for the host; texts point into the pattern or `bytes` */
    size_t steps_count;
    size_t bytes_size;
    char bytes[ROUTER_PATTERN_MAX]; /* what had to be turned round, and literals of regular expressions */
};

/* Takes a path pattern apart; .at NULL is any path. Its text must live as long as *ret_pattern. False:
 * *reterr says why. */
bool route_pattern_parse(struct text path, struct route_pattern *ret_pattern, struct error *reterr);

/* A host pattern that is not "*": writes its key, back to front, to `to`. False: *reterr says why. */
bool route_host_parse(struct text host, char to[ROUTE_HOST_MAX], struct route_step *ret_step,
                      struct error *reterr);
