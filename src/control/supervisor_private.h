/* What the supervisor holds. Private to src/control/supervisor*.c. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "control/listening.h"
#include "control/service_manager.h"
#include "control/supervisor.h"
#include "control/supervisor_wire.h"

enum {
    PROCESSES_MAX = 10,
    VERSION_SIZE = 32,
    SAID_SIZE = 256,
    UPGRADE_UNDERSTOOD =
        80, /* exit status of a program that was asked whether it can take over; no other program's by chance */
};

enum process_role {
    PROCESS_STARTING,
    PROCESS_SERVING,
    PROCESS_RETIRING, /* has a successor, and finishes what is under way */
};

/* A gateway process. */
struct process {
    pid_t pid;      /* 0: this place is free */
    int link;       /* -1: none any more */
    uint64_t claim; /* on sockets; also tells the newer from the older */
    enum process_role role;
    int64_t started_ns;    /* monotonic */
    int64_t since_wall_ns; /* the same for people */
    int64_t connections;   /* of a retiring one, as it said last; -1: it has not yet */
    int64_t heard_ns;      /* monotonic: last sign of life, for the watchdog */
    bool hung;             /* and was told to end */
    char version[VERSION_SIZE];
};

enum upgrade_phase {
    UPGRADE_NONE,
    UPGRADE_ASKING,   /* whether the new program understands what would be handed on */
    UPGRADE_STARTING, /* its gateway process, beside the one that serves */
};

struct upgrade {
    enum upgrade_phase phase;
    pid_t asked;               /* the new program, while it is asked */
    struct process *candidate; /* its gateway process */
    int64_t deadline_ns;
    uint64_t done, failed;
    char said[SAID_SIZE]; /* why the last one failed; "" if it did not */
};

struct supervisor {
    struct supervisor_options options;
    struct listening_set sockets;
    struct service_manager manager;
    struct process processes[PROCESSES_MAX];
    struct process *current; /* that serves, or starts to; NULL: none now */
    struct upgrade upgrade;
    int signals;                   /* signalfd */
    uint64_t starts;               /* so far */
    int64_t ready_ms, drain_ms;    /* as the configuration says; 0: not known */
    bool ready_ever;               /* any gateway process */
    unsigned quick_ends;           /* in a row, each soon after its start */
    int64_t restart_ns;            /* when to start the next one, 0: not waiting for that */
    int64_t watchdog_ns;           /* when to tell the service manager, 0: never */
    int64_t kill_ns;               /* when to lose patience, 0: never */
    bool reload_owed, reopen_owed; /* signals that came while no gateway process was ready */
    bool stopping, ended;
    int status;     /* to exit with */
    char level[16]; /* of the log, as the gateway process said; "": never */
    char format[16];
};

/* --- supervisor_process.c --- */

/* Starts a gateway process; the place is taken until it is reaped. NULL: said in the log. */
struct process *process_start(struct supervisor *s, const char *program, bool is_successor);
void process_close_link(struct process *process);
void process_signal(const struct process *process, int number);
void process_tell(const struct process *process, const struct text fields[WIRE_FIELDS_MAX]);
struct process *process_find(struct supervisor *s, pid_t pid);
bool process_is_room(const struct supervisor *s);
/* Finish what is under way, and end. */
void process_retire(struct process *process);
/* It is to give signs of life, if a service manager's watchdog wants them. */
void process_watch(struct supervisor *s, struct process *process);
/* All that it said so far. */
void process_read(struct supervisor *s, struct process *process);
/* The one that serves and its successor hear which others there are, for the status page. */
void processes_tell(const struct supervisor *s);

/* --- supervisor.c --- */
void supervisor_on_ready(struct supervisor *s, struct process *process);

/* --- supervisor_upgrade.c --- */
void upgrade_begin(struct supervisor *s);
/* The end of a child that is none of ours in service: true if it was part of the upgrade. */
bool upgrade_on_end(struct supervisor *s, pid_t pid, int status);
void upgrade_on_ready(struct supervisor *s);
void upgrade_on_deadline(struct supervisor *s);
void upgrade_abandon(struct supervisor *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What comes of the environment: nothing, or this process is where another supervisor left off. */
enum upgrade_arrival { ARRIVAL_NONE, ARRIVAL_TOOK_OVER, ARRIVAL_ONLY_ASKED, ARRIVAL_FAILED };
enum upgrade_arrival upgrade_arrive(struct supervisor *s);

/* --- supervisor_state.c --- */

/* Writes all that a next supervisor needs, descriptors by number, to a new file in memory. Its descriptor, or a negative errno. */
int supervisor_state_write(const struct supervisor *s);
/* Reads it. With `only_ask` descriptors are not looked at. False, and a reason. */
bool supervisor_state_read(struct supervisor *s, int fd, bool only_ask, struct error *reterr);
