/* The clients and origins of the fuzz target `exchange`. They keep all that they sent and received for the judge. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz_exchange.h"

#include "base/check.h"

enum { TURNS_MAX = 100000, PIECE = 16 * 1024 };

struct peer clients[CLIENTS_MAX], origins[ORIGINS_MAX];
bool peers_automatic;

static char client_received[CLIENTS_MAX][RECEIVED_MAX], client_sent[CLIENTS_MAX][SENT_MAX];
static char origin_received[ORIGINS_MAX][RECEIVED_MAX], origin_sent[ORIGINS_MAX][SENT_MAX];

void peers_begin(void)
{
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        clients[i] =
            (struct peer){.fd = -1, .reading = true, .received = client_received[i], .sent = client_sent[i]};
    for (unsigned i = 0; i < ORIGINS_MAX; i++)
        origins[i] = (struct peer){.fd = -1,
                                   .origin = true,
                                   .reading = true,
                                   .received = origin_received[i],
                                   .sent = origin_sent[i]};
}

void peer_close(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
}

void peer_shut(struct peer *peer)
{
    if (peer->fd >= 0)
        shutdown(peer->fd, SHUT_WR);
}

void peers_end(void)
{
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        peer_close(&clients[i]);
    for (unsigned i = 0; i < ORIGINS_MAX; i++)
        peer_close(&origins[i]);
}

struct peer *peers_client(unsigned index)
{
    struct peer *peer = &clients[index % CLIENTS_MAX];
    if (!peer->used)
        peer->fd = gateway_connect();
    peer->used = peer->used || peer->fd >= 0;
    return peer->fd >= 0 ? peer : NULL;
}

struct peer *peers_origin(bool asked)
{
    for (unsigned i = ORIGINS_MAX; i-- > 0;)
        if (origins[i].fd >= 0 && origins[i].asked == asked)
            return &origins[i];
    return NULL;
}

void peer_send(struct peer *peer, const char *at, size_t size)
{
    size = MIN_OF(size, SENT_MAX - peer->to_send);
    if (size)
        memcpy(peer->sent + peer->to_send, at, size);
    peer->to_send += size;
}

/* --- moving --- */

static bool push(struct peer *peer)
{
    if (peer->fd < 0 || peer->sent_size == peer->to_send)
        return false;
    ssize_t sent =
        send(peer->fd, peer->sent + peer->sent_size, peer->to_send - peer->sent_size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        peer->to_send = peer->sent_size; /* nobody is there to take it */
    peer->sent_size += sent > 0 ? (size_t)sent : 0;
    return sent > 0;
}

static bool pull(struct peer *peer)
{
    size_t room = MIN_OF((size_t)RECEIVED_MAX - peer->received_size, (size_t)PIECE);
    if (peer->fd < 0 || !peer->reading || peer->ended || room == 0)
        return false;
    ssize_t got = recv(peer->fd, peer->received + peer->received_size, room, 0);
    peer->ended = got == 0 || (got < 0 && errno != EAGAIN);
    peer->received_size += got > 0 ? (size_t)got : 0;
    return got >= 0;
}

/* An answer that names the exchange, in one of several forms. */
static void answer(struct peer *peer, const struct seen_request *request)
{
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Echo: ",
        "HTTP/1.1 203 Fine\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\nX-Echo: ",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 5\r\nX-Echo: ",
        "HTTP/1.1 204 Nothing\r\nX-Echo: ",
    };
    static const char *const bodies[] = {"12345", "2\r\n12\r\n3;a=b\r\n345\r\n0\r\nX-T: t\r\n\r\n", "12345",
                                         ""};
    unsigned form = peer->answers++ % COUNT_OF(heads);
    peer_send(peer, heads[form], strlen(heads[form]));
    peer_send(peer, request->mark.at, request->mark.size);
    peer_send(peer, "\r\n\r\n", 4);
    if (request->method != METHOD_HEAD)
        peer_send(peer, bodies[form], strlen(bodies[form]));
}

static bool answer_all(struct peer *peer)
{
    static const struct h1_limits wide = {.line_bytes_max = 1 << 14,
                                          .head_bytes_max = 1 << 16,
                                          .fields_max = 500,
                                          .trailer_bytes_max = 1 << 14,
                                          .paths = {.encoded_slashes = SLASHES_KEEP}};
    bool any = false;
    struct arena arena;
    arena_init(&arena, 0, 0);
    while (peer->fd >= 0 && peer->answered < peer->received_size) {
        struct text rest = {peer->received + peer->answered, peer->received_size - peer->answered};
        size_t before = rest.size;
        struct seen_request request = judge_next_request(&rest, &wide, &arena);
        if (request.progress != H1_DONE)
            break;
        peer->answered += before - rest.size;
        answer(peer, &request);
        arena_reset(&arena);
        any = true;
    }
    arena_release(&arena);
    return any;
}

static bool accept_origins(bool asked)
{
    int fd =
        accept4(gateway_socket(asked ? ORIGIN_ASKED : ORIGIN_MAIN), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return false;
    for (unsigned i = 0; i < ORIGINS_MAX; i++) {
        if (origins[i].used)
            continue;
        origins[i].used = true;
        origins[i].fd = fd;
        origins[i].asked = asked;
        return true;
    }
    close(fd);
    return true;
}

static bool move_all(struct peer *peers, unsigned count)
{
    bool any = false;
    for (unsigned i = 0; i < count; i++) {
        any |= pull(&peers[i]);
        if (peers_automatic && peers[i].origin)
            any |= answer_all(&peers[i]);
        any |= push(&peers[i]);
    }
    return any;
}

void peers_settle(void)
{
    for (int turns = 0;; turns++) {
        CHECK(turns < TURNS_MAX); /* or the loop never rests */
        uint64_t events = gateway.loop.events;
        loop_turn(&gateway.loop, 0);
        bool any = gateway.loop.events != events || gateway.loop.tasks_first;
        any |= accept_origins(false);
        any |= accept_origins(true);
        any |= move_all(clients, CLIENTS_MAX);
        any |= move_all(origins, ORIGINS_MAX);
        if (!any)
            return;
    }
}
