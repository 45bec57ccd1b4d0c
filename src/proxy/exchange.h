/* The exchange: one request and its response on their way through the gateway, and what policies may do with it.
 *
 * Lives from the moment a request head is complete until its last byte is sent and its line is logged; all of its memory is its
 * arena. Belongs to one worker; only the driver loop (proxy/driver.c) moves it. */
#pragma once

#include "base/arena.h"
#include "base/crash_note.h"
#include "base/log.h"
#include "expr/expr.h"
#include "http/message.h"
#include "http/stream.h"
#include "net/loop.h"
#include "net/whole.h"
#include "policy/await.h"
#include "policy/policy.h"
#include "proxy/consumer.h"
#include "proxy/router.h"
#include "upstream/attempt.h"

struct worker;
struct connection;
struct snapshot;
struct plan;
struct plan_entry;
struct route_target;
struct hedge;

/* What the driver does next with an exchange: the names are those of step.h's functions and of the debug page. */
enum exchange_step {
    EXCHANGE_ROUTE,
    EXCHANGE_BUFFER_REQUEST, /* something needs the whole body: then on with ex->after_buffering */
    EXCHANGE_REQUEST_POLICIES,
    EXCHANGE_BACK_OFF,      /* a little time before another attempt */
    EXCHANGE_QUEUE,         /* waits for its turn at a busy service */
    EXCHANGE_ATTEMPT,       /* choose an endpoint, get a connection, send the head */
    EXCHANGE_EXPECT_ANSWER, /* the body goes up while the answer's head is awaited */
    EXCHANGE_RESPONSE_POLICIES,
    EXCHANGE_BUFFER_RESPONSE, /* a response hook needs the whole body */
    EXCHANGE_SEND_HEAD,
    EXCHANGE_RELAY,  /* bodies flow, both ways */
    EXCHANGE_TUNNEL, /* after 101: bytes flow, both ways */
    EXCHANGE_FINISH, /* what is left in the client's queue goes out */
    EXCHANGE_STEPS_COUNT
};

/* How an exchange ended, for log and metrics: proxy/outcome.def. */
enum exchange_error {
    ERROR_NONE,
#define OUTCOME(identifier, text) ERROR_##identifier,
#include "proxy/outcome.def"
#undef OUTCOME
    ERRORS_COUNT
};
struct text exchange_error_text(enum exchange_error error);

/* Whose turn it is to give or to take bytes. */
enum exchange_peer { PEER_NONE, PEER_CLIENT, PEER_SERVICE };

/* What went upstream of the request's body, for another try. */
enum replay_state {
    REPLAY_LOST, /* not kept, or no more: too large, or of no use */
    REPLAY_KEPT,
};

/* A body as JSON, parsed when an expression first asks. */
struct body_json {
    struct text of; /* what was parsed */
    struct value value;
    struct arena arena; /* of a large one */
    size_t charged;     /* to the budget of the buffers: the arena is in use */
    bool fine;
};

enum { EXCHANGE_VARS_MAX = 32 };
struct exchange_var {
    struct text name;
    struct value value;
};

struct exchange {
    struct request request;
    struct response response; /* the origin's, or the one made here */
    struct arena arena;
    struct worker *worker;
    struct loop *loop; /* the worker's; its clocks are read once per turn */
    const struct snapshot *snapshot;
    struct snapshot_pin *pin;
    const struct route *route;         /* NULL: not chosen yet; the snapshot's fallback: none matched */
    const struct route_target *target; /* of the route: the service that was chosen, and its plan */
    const struct service *service;     /* NULL: the route has none */
    const struct consumer *consumer;   /* NULL: not identified */
    struct text credential;            /* how: name of the policy that identified the consumer */
    struct value claims;               /* of a verified token; VALUE_NULL: none */
    struct exchange_var *vars;         /* in the arena, made with the first one */
    unsigned vars_count;
    struct text request_id; /* .at NULL until a policy or exchange_request_id() made one */
    struct text trace_id;   /* 32 hex digits of a traceparent, .at NULL: none */
    struct text client_ip;  /* IP of client_address as text, after trusted proxies were looked through */
    struct address client_address;
    struct text forward_path;  /* what goes upstream instead of request.path; .at NULL: the same */
    struct text forward_query; /* the same for the query, when forward_path.at is set */
    struct text forward_host;  /* Host that policies set; .at NULL: the service's rule */
    struct text endpoint_url;  /* of the latest attempt; .at NULL: there was none */
    struct text request_body;  /* whole, when something asked for it (BODY_WHOLE) */
    struct text response_body; /* the same of the answer: use exchange_response_body() */

    /* What follows belongs to the driver. */
    enum exchange_step step;
    enum exchange_error error;
    struct connection *connection;
    struct stream *client;
    struct attempt attempt;
    struct hedge *hedge;      /* the same request at a second endpoint; NULL: none (step_hedge.c) */
    struct queue_place place; /* in the row before the service */
    const struct plan *plan;
    struct chain_slot *slots; /* one for each entry of the plan */
    uint16_t chain_at; /* request side: the entry that runs or comes next; response side: one above it */
    struct {
        struct await *operation; /* NULL: nothing is awaited */
        policy_step *next;
        const char *name; /* of the step that runs next */
        const char *what; /* "http", "work", "delay" */
        int64_t since_ns, deadline_ms;
        bool ready; /* the operation is over: the step runs next */
    } waiting;
    struct timer timer; /* one for all deadlines; moved only when one comes nearer */
    int64_t deadline_total_ms, deadline_try_ms, deadline_hedge_ms,
        deadline_phase_ms;  /* loop time; INT64_MAX: none */
    struct text local_body; /* of an answer made here */
    struct splice_pipe {
        int ends[2];
        size_t filled;
        bool taken;
    } up, down;
    uint64_t id;                     /* unique in the process */
    int64_t began_ns;                /* the head was complete (worker's clock) */
    int64_t attempt_ns, answered_ns; /* 0: not reached */
    int64_t left_ns;   /* when it last left the processor, by a clock of its own; 0: it has not run */
    int64_t own_ns;    /* what the gateway took for it: running, and waiting for its turn */
    int64_t queued_ns; /* the latter part of own_ns */
    int64_t waited_ns; /* what policies waited for */
    int64_t body_began_ms;
    int64_t queue_until_ms;    /* 0: it has not waited in the row before the service */
    uint64_t moved;            /* bytes when the deadline of a pause was set */
    enum exchange_peer paused; /* whose pause it is */
    bool body_rate_counts;     /* the deadline for the request's body is that of its slowest rate */
    uint8_t attempts;          /* tries so far */
    bool hedged;               /* there was a hedge: one is enough */
    bool local;                /* the answer is made here */
    bool running, again;       /* the driver is on the stack; something happened meanwhile */
    bool yielded;              /* it goes on later in this turn, after others had theirs */
    bool turn_posted;
    bool sink_failed; /* the origin takes no more of the request; it may still answer */
    bool arena_failed_once;
    uint8_t interims;       /* 1xx answers so far */
    struct crash_note note; /* what a crash report tells of it */
    struct task turn;
    bool ended;
    bool head_sent;     /* to the client: no other answer is possible */
    bool request_begun; /* body bytes went upstream */
    enum replay_state replay_state;
    bool replay_over; /* `replay` is the whole body */
    bool request_done, response_done;
    bool request_buffered, response_buffered; /* the body is whole in memory */
    enum exchange_step after_buffering;       /* of the request */
    bool request_framed;                      /* the upstream request is prepared (fields added once) */
    bool continue_sent;
    bool keep; /* the client's connection may serve another request */
    bool upgraded;
    struct list link; /* in the worker's list */
    struct exchange *next_free;
    struct whole request_whole, response_whole; /* bodies as they are gathered */
    struct body_json request_json, response_json;
    struct whole replay;                    /* what went upstream of the request's body, for another try */
    size_t replay_sent;                     /* of it, by this try */
    size_t request_sent, response_sent;     /* of bodies that are sent from memory */
    uint64_t request_bytes, response_bytes; /* of bodies */
    struct route_captures captures;         /* last: it is not cleared between exchanges, but for its count */
};

/* An entry of the plan as this exchange meets it. */
struct chain_slot {
    void *state;
    bool entered;
};

/* --- for policies --- */

/* Answers with a body made here. Texts must live in the exchange arena, the configuration, or be literals; .at NULL content type: none. Always
 * returns VERDICT_RESPOND. Earlier fields of ex->response are dropped; add fields after the call. */
enum verdict exchange_respond(struct exchange *ex, unsigned status, struct text content_type,
                              struct text body);

/* Answers with an RFC 9457 problem document: `title` is the status' reason, `detail` a sentence for the caller, without internals. */
enum verdict exchange_respond_problem(struct exchange *ex, unsigned status, struct text detail);

/* Says for operators why the policy faulted (logged with its name, limited) and returns VERDICT_FAULT. `reason` is a literal. */
enum verdict exchange_fault(struct exchange *ex, const char *reason);

/* The answer's body, for response hooks of policies that declare it BODY_WHOLE. */
struct text exchange_response_body(const struct exchange *ex);

/* Who calls; `how` is the policy's name. Policies of the consumer's groups and its own join the chain from the next entry on. */
void exchange_identify(struct exchange *ex, const struct consumer *consumer, struct text how);

/* The request's id, made (UUID version 7, RFC 9562) when there is none yet. */
struct text exchange_request_id(struct exchange *ex);

/* Sets or replaces `vars.NAME`. False: too many. The name must live as long as the exchange. */
bool exchange_set_var(struct exchange *ex, struct text name, struct value value);

/* Evaluates with the exchange as context. False: the evaluation failed; the reason was logged (limited): return VERDICT_FAULT. */
bool exchange_eval(struct exchange *ex, const struct expr *expr, struct value *ret_value);
bool exchange_eval_bool(struct exchange *ex, const struct expr *expr, bool *ret_value);
bool exchange_eval_text(struct exchange *ex, const struct expr *expr, struct text *ret_value);

/* The same for what need not be there: a failure is not logged. */
bool exchange_try_text(struct exchange *ex, const struct expr *expr, struct text *ret_value);

/* A text for a document: what the holes of the template give is escaped, its own text is not. */
bool exchange_eval_escaped(struct exchange *ex, const struct expr *expr, enum expr_escape escape,
                           struct text *ret_value);

/* Wall clock of this turn, and this worker's number from 0. */
int64_t exchange_wall_ns(const struct exchange *ex);
unsigned exchange_worker(const struct exchange *ex);

/* How long it has lasted: to the end of its last run, or the beginning of this turn. */
int64_t exchange_age_ns(const struct exchange *ex);

/* The consumers of the snapshot that the exchange began with. */
const struct consumer_set *exchange_consumers(const struct exchange *ex);

/* --- for the driver and the protocols --- */
void exchange_wake(struct exchange *ex); /* something happened: runs the driver (or marks it to run again) */
extern const struct expr_environment exchange_environment; /* the attributes that expressions may use */
