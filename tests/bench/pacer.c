/* Latency at a fixed rate. Request i is due at start + i / rate whatever became of those before it, and its latency runs from that moment:
 * a gateway that stalls is charged for every request that had to wait meanwhile.
 *
 *     pacer PORT RATE SECONDS CONNECTIONS PATH [FIELD...]      prints one JSON object
 *
 * A request that finds no free connection waits for one. An answer that is not 2xx, a connection that breaks and a request without an answer
 * two seconds after the end count as failed. */
#include <errno.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <time.h>

#include "loopback.h"

enum { INPUT_MAX = 1 << 15, REQUEST_MAX = 4096, LATENCY_MAX_US = 1 << 21, GRACE_NS = 2000000000 };

static struct lane {
    bool busy;
    int64_t due;         /* of the request under way */
    size_t filled, want; /* of its answer; `want` is 0 until the head is read */
    char input[INPUT_MAX];
} lanes[DESCRIPTORS_MAX];

static char request[REQUEST_MAX];
static size_t request_size;
static int poller, spare[DESCRIPTORS_MAX], spare_first, spare_count;
static uint64_t completed, broken, counts[LATENCY_MAX_US + 1];

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void append(const char *text)
{
    size_t size = strlen(text);
    if (request_size + size > sizeof request)
        give_up("the request is too long");
    memcpy(request + request_size, text, size);
    request_size += size;
}

static void write_request(const char *path, char **fields)
{
    append("GET ");
    append(path);
    append(" HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    for (; *fields; fields++) {
        append(*fields);
        append("\r\n");
    }
    append("\r\n");
}

/* The lane that has been free for longest comes first. */
static void set_free(int fd)
{
    lanes[fd].busy = false;
    spare[(spare_first + spare_count++) % DESCRIPTORS_MAX] = fd;
}

static void set_broken(int fd)
{
    broken += lanes[fd].busy;
    lanes[fd].busy = false;
    close(fd);
}

static void send_one(int64_t due)
{
    int fd = spare[spare_first];
    spare_first = (spare_first + 1) % DESCRIPTORS_MAX;
    spare_count--;
    struct lane *lane = &lanes[fd];
    lane->busy = true;
    lane->due = due;
    lane->filled = lane->want = 0;
    if (send(fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size)
        set_broken(fd);
}

static void receive(int fd)
{
    struct lane *lane = &lanes[fd];
    ssize_t n = recv(fd, lane->input + lane->filled, sizeof lane->input - lane->filled, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || !lane->busy) {
        set_broken(fd);
        return;
    }
    lane->filled += (size_t)n;
    if (!lane->want) {
        size_t head = head_size(lane->input, lane->filled);
        lane->want = head ? head + content_length(lane->input, head) : 0;
        if (head && (strncmp(lane->input, "HTTP/1.1 2", 10) || lane->want > sizeof lane->input)) {
            set_broken(fd);
            return;
        }
    }
    if (!lane->want || lane->filled < lane->want)
        return;
    int64_t us = (now_ns() - lane->due) / 1000;
    counts[us < LATENCY_MAX_US ? us : LATENCY_MAX_US]++;
    completed++;
    set_free(fd);
}

static void wait_until(int64_t until)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t left = until - now_ns();
    struct timespec timeout = {left > 0 ? left / 1000000000 : 0, left > 0 ? left % 1000000000 : 0};
    int count = epoll_pwait2(poller, events, EVENTS_MAX, &timeout, NULL);
    for (int i = 0; i < count; i++)
        receive(events[i].data.fd);
}

static unsigned percentile_us(double share)
{
    uint64_t seen = 0, wanted = (uint64_t)(share * (double)completed);
    for (unsigned us = 0; us <= LATENCY_MAX_US; us++)
        if ((seen += counts[us]) > wanted)
            return us;
    return LATENCY_MAX_US;
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fputs("usage: pacer PORT RATE SECONDS CONNECTIONS PATH [FIELD...]\n", stderr);
        return 2;
    }
    double rate = strtod(argv[2], NULL), interval = 1e9 / rate;
    uint64_t total = (uint64_t)(rate * strtod(argv[3], NULL)), sent = 0;
    write_request(argv[5], argv + 6);
    prctl(PR_SET_TIMERSLACK, 1);
    poller = epoll_create1(EPOLL_CLOEXEC);
    for (long left = strtol(argv[4], NULL, 10); left > 0; left--) {
        int fd = loopback_connect((uint16_t)strtoul(argv[1], NULL, 10));
        watch(poller, fd, EPOLLIN);
        set_free(fd);
    }
    int64_t start = now_ns(), end = start + (int64_t)(interval * (double)total) + GRACE_NS;
    while (completed + broken < total && now_ns() < end) {
        int64_t due = start + (int64_t)(interval * (double)sent);
        for (; sent < total && spare_count && due <= now_ns();
             due = start + (int64_t)(interval * (double)sent)) {
            send_one(due);
            sent++;
        }
        wait_until(sent < total && spare_count ? due : end);
    }
    printf("{\"completed\": %llu, \"failed\": %llu, \"p50_us\": %u, \"p99_us\": %u}\n",
           (unsigned long long)completed, (unsigned long long)(total - completed), percentile_us(0.5),
           percentile_us(0.99));
    return 0;
}
