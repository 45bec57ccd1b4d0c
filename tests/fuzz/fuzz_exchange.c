/* Whole exchanges through the real connections, driver, relay and policies: clients and origins say and do what the input tells them.
 *
 * The input is a byte of flags and then acts, each a byte 0xff, a letter, and what belongs to it up to the next 0xff:
 *
 *     c, d  a client sends the bytes, at once or each alone       0-2  which client the following acts are about
 *     o, p  an origin sends the bytes, at once or each alone      a, b  the same of the origin that policies ask
 *     F, G  a client, an origin sends a letter 4,096 times n      e, E  the client ends its direction, closes
 *     x, X  the origin ends its direction, closes                 r, R  the client reads no more, reads again
 *     w, W  the origin reads no more, reads again                 t  the clock goes on by n * 8 ms
 *     k  another configuration comes into force                   s  the gateway's sockets have little room
 *     m  the nth allocation from here on fails
 *
 * After all acts each exchange must end by itself: by what the peers do, or by its deadlines. */
#include "fuzz.h"
#include "fuzz_exchange.h"

#include "base/check.h"
#include "base/memory.h"

enum {
    FLAG_AUTOMATIC = 1,
    FLAG_QUIET_END = 2,
    END_STEPS = 300,
    END_STEP_MS = 250,
    FILL = 4096,
    INPUT_MAX = 1 << 14
};

static struct peer *client;
static unsigned client_index;
static bool calm;

static void send_each(struct peer *peer, struct text bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        peer_send(peer, bytes.at + i, 1);
        peers_settle();
    }
}

static void say(struct peer *peer, struct text bytes, bool each)
{
    if (!peer || (peer->origin && peers_automatic))
        return;
    if (each)
        send_each(peer, bytes);
    else
        peer_send(peer, bytes.at, bytes.size);
    peers_settle();
}

static void fill(struct peer *peer, struct text bytes)
{
    static char letters[FILL];
    memset(letters, 'x', sizeof letters);
    for (unsigned left = bytes.size ? (uint8_t)bytes.at[0] : 1; left > 0; left--)
        say(peer, (struct text){letters, sizeof letters}, false);
}

static void act_of_client(char what, struct text bytes)
{
    client = peers_client(client_index);
    if (!client)
        return;
    switch (what) {
    case 'c': say(client, bytes, false); return;
    case 'd': say(client, bytes, true); return;
    case 'F': fill(client, bytes); return;
    case 'e': peer_shut(client); break;
    case 'E': peer_close(client); break;
    case 'r': client->reading = false; break;
    case 'R': client->reading = true; break;
    default: return;
    }
    calm = false;
}

static void act_of_origin(char what, struct text bytes)
{
    struct peer *origin = peers_origin(what == 'a' || what == 'b');
    if (!origin)
        return;
    switch (what) {
    case 'o':
    case 'a': say(origin, bytes, false); return;
    case 'p':
    case 'b': say(origin, bytes, true); return;
    case 'G': fill(origin, bytes); return;
    case 'x': peer_shut(origin); break;
    case 'X': peer_close(origin); break;
    case 'w': origin->reading = false; break;
    case 'W': origin->reading = true; break;
    default: return;
    }
    calm = false;
}

static void act(char what, struct text bytes)
{
    unsigned number = bytes.size ? (uint8_t)bytes.at[0] : 0;
    switch (what) {
    case '0':
    case '1':
    case '2': client_index = (unsigned)(what - '0'); return;
    case 't': gateway_advance(number * 8); break;
    case 'k': gateway_adopt(number % SNAPSHOTS_COUNT); break;
    case 's': gateway_small_buffers(); break;
    case 'm': memory_fail_at(number + 1); break;
    default:
        act_of_client(what, bytes);
        act_of_origin(what, bytes);
        break;
    }
    calm &= what != 't' && what != 'm';
    peers_settle();
}

static void play(struct text input)
{
    size_t next = text_find_char(input, '\xff');
    while (next != TEXT_NONE && next + 1 < input.size) {
        char what = input.at[next + 1];
        input = text_slice(input, next + 2, input.size);
        next = text_find_char(input, '\xff');
        act(what, text_slice(input, 0, next == TEXT_NONE ? input.size : next));
    }
}

/* Policies that pause go on, nobody is too late yet. */
static void let_pauses_end(void)
{
    for (int i = 0; i < 8; i++) {
        gateway_advance(60);
        peers_settle();
    }
}

static void finish(bool quietly)
{
    if (!quietly)
        peers_end();
    for (int i = 0; i < END_STEPS && !gateway_is_empty(); i++) {
        peers_settle();
        gateway_advance(END_STEP_MS);
    }
    CHECK(gateway_is_empty());
    peers_end();
    peers_settle();
    gateway_check_rest();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > INPUT_MAX)
        return 0;
    gateway_start();
    peers_begin();
    peers_automatic = data[0] & FLAG_AUTOMATIC;
    calm = peers_automatic;
    client_index = 0;
    play((struct text){(const char *)data + 1, size - 1});
    memory_fail_at(0);
    if (calm)
        let_pauses_end();
    judge(calm);
    finish(data[0] & FLAG_QUIET_END);
    judge(false);
    gateway_adopt(
        1); /* a listener that could not be opened for want of memory is opened again, and those who waited there are served */
    gateway_adopt(0);
    finish(false);
    return 0;
}
