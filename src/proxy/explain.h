/* Why a request takes its route and meets its policies: the answer of `turnpike explain` and of /explain. */
#pragma once

#include <stdio.h>

#include "proxy/snapshot.h"

enum { EXPLAIN_CANDIDATES_MAX = 32 };

struct explain_candidate {
    const struct route *route;
    struct text why_not; /* .at NULL: it fits */
};

struct explanation {
    struct request request;
    struct explain_candidate candidates[EXPLAIN_CANDIDATES_MAX]; /* in the order in which they are tried */
    size_t candidates_count;
    bool more_candidates;
    const struct route *winner; /* NULL: none */
    struct route_captures captures;
};

/* `method` and `url` ("http://host/path?query" or "/path"), with header lines "name: value". False: *reterr says what is wrong with them. Texts
 * live in `arena`. */
bool explain_request(const struct snapshot *snapshot, struct text method, struct text url,
                     const struct text *headers, size_t headers_count, struct arena *arena,
                     struct explanation *ret_explanation, struct error *reterr);

/* As text for people, or as one JSON object. */
void explain_print(const struct explanation *explanation, FILE *to);
void explain_print_json(const struct explanation *explanation, FILE *to);
