/* Why a request takes its route and meets its policies: the answer of `turnpike explain` and of /explain. */
#pragma once

#include <stdio.h>

#include "proxy/exchange.h"
#include "proxy/snapshot.h"

enum { EXPLAIN_CANDIDATES_MAX = 32 };

struct explain_candidate {
    const struct route *route;
    struct text why_not; /* .at NULL: it fits */
};

/* What is asked. Texts with .at NULL: the default. */
struct explain_question {
    struct text method, url;    /* "http://host/path?query" or "/path" */
    const struct text *headers; /* lines "name: value" */
    size_t headers_count;
    struct text listener; /* the first one */
    struct text client;   /* IP address of the peer; 127.0.0.1 */
    struct text local;    /* address that the peer connected to; the listener's */
    struct text scheme;   /* http */
    struct text sni;      /* server name of the TLS handshake; none */
    struct text at;       /* a time in UTC; now */
    struct text body;     /* not known: a route that asks for it does not match */
};

struct explanation {
    struct exchange *exchange; /* stands for one that is served: request, captures, client address */
    struct explain_candidate candidates[EXPLAIN_CANDIDATES_MAX]; /* in the order in which they are tried */
    size_t candidates_count;
    bool more_candidates;
    const struct route *winner;        /* NULL: none */
    const struct route_target *target; /* of the winner; NULL: at random, or a fault */
    struct text fault;                 /* why no service can be chosen; .at NULL: one can */
    struct text key;                   /* by which it is chosen; .at NULL: none */
    struct text forward_path;          /* what the service gets */
    struct text path_fault;            /* why it cannot be written; .at NULL: it can */
};

/* False: *reterr says what is wrong with the question. The explanation lives as long as the arena. */
bool explain_request(const struct snapshot *snapshot, const struct explain_question *question,
                     struct arena *arena, struct explanation *ret_explanation, struct error *reterr);

/* As text for people, or as one JSON object. */
void explain_print(const struct explanation *explanation, FILE *to);
void explain_print_json(const struct explanation *explanation, FILE *to);

/* "stage access", or "last" for a route's own `respond` and `redirect`, which come after all stages. */
const char *explain_stage_name(const struct policy_instance *entry);
