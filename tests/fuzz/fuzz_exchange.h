/* What the files of the fuzz target `exchange` share: a gateway of one worker in this process, its peers, and the judge of what they saw. */
#pragma once

#include "proxy/worker.h"

/* --- exchange_gateway.c: made once, empty between two inputs --- */

enum { LISTENER_MAIN, LISTENER_OTHER, ORIGIN_MAIN, ORIGIN_ASKED, SOCKETS_COUNT };
enum { SNAPSHOTS_COUNT = 3 };

extern struct worker gateway;
extern struct h1_limits gateway_limits; /* of its listeners */

void gateway_start(void);           /* once; later calls do nothing */
int gateway_socket(unsigned which); /* listening; of the origins, the harness accepts */
int gateway_connect(void);          /* a client's descriptor to the listener in force, non-blocking; or -1 */
void gateway_adopt(unsigned which); /* a reload */
void gateway_advance(int64_t ms);   /* moves the clock */
void gateway_small_buffers(void);   /* of all sockets that the gateway has now */
bool gateway_is_empty(void);        /* no exchange, no connection on either side */
void gateway_check_rest(void);      /* nothing was kept but what is free for reuse */

/* --- exchange_peers.c: clients and origins --- */

enum { CLIENTS_MAX = 3, ORIGINS_MAX = 8, RECEIVED_MAX = 1 << 21, SENT_MAX = 1 << 20 };

struct peer {
    int fd;                   /* -1: not there, or gone */
    bool used, origin, asked; /* `asked`: of the service that policies ask */
    bool reading, ended;      /* it reads; the gateway has ended its direction */
    char *received, *sent;
    size_t received_size, sent_size,
        to_send;     /* bytes [sent_size, to_send) of `sent` wait for room in the socket */
    size_t answered; /* bytes of `received` that automatic answers have taken */
    unsigned answers;
};

extern struct peer clients[CLIENTS_MAX], origins[ORIGINS_MAX];
extern bool peers_automatic; /* origins answer by themselves, and what the input says for them is left out */

void peers_begin(void);
void peers_end(void);                      /* closes what is open */
struct peer *peers_client(unsigned index); /* connects it where it is not there; NULL: it cannot */
struct peer *peers_origin(bool asked);     /* the newest that is open; NULL: none */
void peer_send(struct peer *peer, const char *at, size_t size);
void peer_shut(struct peer *peer);
void peer_close(struct peer *peer);

/* Turns the loop and moves the peers' bytes until nothing happens any more; a loop that never rests ends the process. */
void peers_settle(void);

/* --- exchange_judge.c --- */

/* One message at the start of `*rest`, taken off it when it is complete. */
struct seen_request {
    enum h1_progress progress; /* H1_MORE: cut short */
    bool head;                 /* the head is complete: what follows is set */
    enum http_method method;
    bool upgrade, http10;
    struct text mark; /* X-Exchange */
};
struct seen_request judge_next_request(struct text *rest, const struct h1_limits *limits,
                                       struct arena *arena);

/* Whether what the peers saw is well formed and fits together. `calm`: nothing was broken, so that nothing may be missing. */
void judge(bool calm);
