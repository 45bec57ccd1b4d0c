/* What the parts of the health checker share. Private to health_*.c; control thread. */
#pragma once

#include "base/table.h"
#include "upstream/call.h"
#include "upstream/health_checker.h"

enum probe_state { PROBE_IDLE, PROBE_WAITING, PROBE_RUNNING };

/* The checks of one endpoint. */
struct probe {
    struct endpoint *endpoint;
    struct health_checker *checker;
    struct service_health *group; /* NULL: no snapshot has its service */
    struct list link;             /* in the group's list */
    struct list turn;             /* in the checker's list of those that wait or run */
    struct timer due, deadline;
    struct timer back; /* the end of an ejection */
    enum probe_state state;
    bool wanted;  /* the newest version of its service checks it */
    bool fresh;   /* made in this turn */
    bool decided; /* a check has ended since there are checks */
    bool last_passed;
    unsigned in_a_row;
    uint64_t passed, failed;
    int64_t checked_at_ms;
    char said[HEALTH_SAID_MAX];
    enum condition_of_endpoint announced;
    /* While it runs. */
    const struct service *service;
    struct arena arena;
    struct origin_call *call; /* HTTP */
    struct attempt *attempt;  /* TCP */
};

struct registration {
    struct health_checker *checker;
    const struct service *service;
    struct list link; /* in its service_health */
};

struct health_checker {
    struct loop *loop;
    struct upstream_worker *worker;
    struct endpoints *endpoints;
    struct metric_thread *metrics;
    struct table by_name; /* struct service_health */
    struct list services;
    struct list waiting, running; /* struct probe */
    unsigned running_count, at_once;
    bool starting;
};

/* health_probe.c: one check from start to end; health_probe_over() of health_checker.c gets its result. */
void health_probe_run(struct probe *probe, const struct service *service);
void health_probe_cancel(struct probe *probe);
void health_probe_over(struct probe *probe, bool passed);

/* health_events.c: logs what differs from what was logged last. */
void health_announce(struct service_health *health);
