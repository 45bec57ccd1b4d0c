/* The policy interface: all that a policy's author needs to read, besides proxy/exchange.h.
 *
 * A policy is one constant struct in one file of src/policies/, one test file, and one line in registry.def. Its field table is the
 * only description of its configuration. Hooks run to completion on the worker's thread and never block. To wait, a hook returns one of
 * the await_*() functions of policy/await.h, which name the step that runs next: nothing may follow that return.
 *
 * The core gives every policy `id`, `when`, `on_error`, `enabled` and `stage`, counts its verdicts, samples its time, and knows what it
 * waits for; a policy never repeats that. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "config/field.h"

struct exchange;

enum verdict {
    VERDICT_NEXT,    /* go on to the next policy */
    VERDICT_WAIT,    /* returned only by await_*(): parked until the named step runs */
    VERDICT_RESPOND, /* returned only by exchange_respond*(): skip to the response side */
    VERDICT_DROP,    /* close the connection (or reset the stream) without an answer */
    VERDICT_FAULT,   /* could not decide: the core applies `on_error` (deny: 503 problem document) */
};

/* Hooks and steps share one shape. `config` is immutable and shared by all workers; `state` is this exchange's own, zeroed when
 * the chain first reaches the policy (NULL when state_size is 0). */
typedef enum verdict policy_step(struct exchange *ex, const void *config, void *state);

/* A piece of a body on its way. The hook may change `data` (to memory that lives until the next call or in the exchange arena) and make it
 * empty; `last` tells that nothing follows (`data` may be empty then). Body hooks do not wait. */
struct body_chunk {
    struct text data;
    bool last;
};
typedef enum verdict policy_body_step(struct exchange *ex, const void *config, void *state,
                                      struct body_chunk *chunk);

/* Coarse order; inside a stage the order written in the configuration. */
enum policy_stage {
    STAGE_EDGE,
    STAGE_IDENTITY,
    STAGE_ACCESS,
    STAGE_QUOTA,
    STAGE_VALIDATE,
    STAGE_TRANSFORM,
    STAGE_CACHE,
    STAGE_OBSERVE,
    STAGES_COUNT
};

enum policy_status { POLICY_EXPERIMENTAL, POLICY_STABLE, POLICY_DEPRECATED };

enum body_need {
    BODY_UNTOUCHED,
    BODY_STREAM, /* the body hook sees every piece */
    /* Buffered before on_request within the listener's or route's `limits.buffered_body`: ex->request_body holds it, empty where there is
     * none. For the answer, before on_response within the service's: exchange_response_body(). */
    BODY_WHOLE,
};

struct prepare;

struct policy {
    const char *name;    /* config key, kebab-case */
    const char *summary; /* one line for lists, ends with a full stop */
    const char
        *manual; /* Markdown below the generated field table; holds at least one example that the tests run */
    enum policy_stage stage;
    enum policy_status status;

    const struct field *fields; /* validation, binding, JSON Schema, manual */
    size_t config_size;         /* zeroed and filled by the core from `fields` */
    size_t state_size;

    /* Cross-field checks, compiling, claiming of state. False: something was reported. Control thread. */
    bool (*prepare)(struct prepare *prepare, void *config);

    policy_step *on_request;           /* request head known, route chosen */
    policy_body_step *on_request_body; /* with request_body BODY_STREAM */
    policy_step *
        on_response; /* response head known, also of answers made here; in reverse order of on_request; only for
                                           policies whose request side was entered (or has no request hook) */
    policy_body_step *on_response_body;                                   /* with response_body BODY_STREAM */
    void (*on_end)(struct exchange *ex, const void *config, void *state); /* once, whatever happened */
    enum body_need request_body, response_body;
};

/* What `prepare` may use. */
struct prepare {
    struct binder *binder; /* binder->arena lives as long as `config`: allocate and arena_defer() there */
    const struct node
        *node;             /* the policy's configuration, for bind_error(p->binder, p->node, "field", ...) */
    struct text instance;  /* unique and stable across reloads: "routes.read-order.rate-limit" */
    unsigned workers;      /* worker threads of this process */
    struct states *states; /* named state with a longer life than a snapshot: base/states.h */
    const struct service_builder *services;
};

/* A service for calls to `url` (http://HOST:PORT, without a path), with its own pools. NULL: reported at `field`. */
struct service *prepare_service(struct prepare *prepare, const char *field, struct text url,
                                int64_t timeout_ms);

/* All policies, in the order of registry.def; `policies_count` of them. Defined in src/policies/registry.c. */
extern const struct policy *const policies[];
extern const size_t policies_count;

const struct policy *policy_find(struct text name); /* NULL: none */
