/* Names to addresses by c-ares, driven by the loop.
 *
 * Answers are handed out by a task, never from inside c-ares or resolver_start(): so an `on_done` may start,
 * cancel and free. */
#include "net/resolver.h"

#include <ares.h>
#include <errno.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/time.h"

enum {
    ADDRESSES_MAX = 256,
    EVENTS_IN = EPOLLIN | EPOLLHUP | EPOLLERR,
    EVENTS_OUT = EPOLLOUT | EPOLLHUP | EPOLLERR
};

/* A socket of c-ares. */
struct channel_socket {
    struct watch watch;
    struct resolver *resolver;
    struct list link;
};

struct resolver {
    struct loop *loop;
    ares_channel channel;
    struct list sockets;
    struct list under_way, answered; /* lookups */
    struct resolver_query *starved;  /* there was no memory for their lookups; linked by `internal` */
    struct timer timer;              /* the next timeout of c-ares */
    struct task deliver;
    bool deliver_posted;
};

/* One question until its answer has been handed out. A cancelled one stays until c-ares lets go of it. */
struct lookup {
    struct list link;
    struct resolver *resolver;
    struct resolver_query *query; /* NULL: cancelled */
    uint16_t port;
    struct resolved result;
    struct address *addresses;
};

static void free_lookup(struct lookup *lookup)
{
    list_remove(&lookup->link);
    memory_free(lookup->addresses);
    memory_free(lookup);
}

static void post_delivery(struct resolver *resolver)
{
    if (resolver->deliver_posted || (!resolver->starved && list_is_empty(&resolver->answered)))
        return;
    resolver->deliver_posted = true;
    loop_post(resolver->loop, &resolver->deliver);
}

static void deliver_starved(struct resolver *resolver)
{
    static const struct resolved result = {.error = -EIO, .reason = "out of memory"};
    struct resolver_query *query = resolver->starved;
    resolver->starved = query->internal;
    post_delivery(resolver);
    query->internal = NULL;
    query->on_done(query, &result);
}

/* Hands out one answer: `on_done` may free the resolver and so all that is left. */
static void deliver(struct task *task)
{
    struct resolver *resolver = CONTAINER_OF(task, struct resolver, deliver);
    resolver->deliver_posted = false;
    struct list *link = list_pop_front(&resolver->answered);
    if (!link) {
        if (resolver->starved)
            deliver_starved(resolver);
        return;
    }
    post_delivery(resolver);
    struct lookup *lookup = CONTAINER_OF(link, struct lookup, link);
    struct resolver_query *query = lookup->query;
    if (query) {
        query->internal = NULL;
        query->on_done(query, &lookup->result);
    }
    free_lookup(lookup);
}

static void add_address(struct lookup *lookup, const struct address *address)
{
    for (size_t i = 0; i < lookup->result.count; i++)
        if (address_equal(&lookup->addresses[i], address))
            return;
    lookup->addresses[lookup->result.count++] = *address;
}

/* Copies what c-ares found; false: no memory. */
static bool copy_addresses(struct lookup *lookup, const struct ares_addrinfo *found)
{
    size_t count = 0;
    int64_t ttl_s = INT64_MAX;
    for (const struct ares_addrinfo_node *node = found->nodes; node && count < ADDRESSES_MAX;
         node = node->ai_next) {
        count++;
        ttl_s = MIN_OF(ttl_s, node->ai_ttl);
    }
    for (const struct ares_addrinfo_cname *alias = found->cnames; alias; alias = alias->next)
        ttl_s = MIN_OF(ttl_s, alias->ttl);
    lookup->addresses = memory_array(count, sizeof *lookup->addresses);
    if (!lookup->addresses)
        return false;
    for (const struct ares_addrinfo_node *node = found->nodes; node && count > 0;
         node = node->ai_next, count--) {
        struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
        struct address address;
        memcpy(&storage, node->ai_addr, MIN_OF((size_t)node->ai_addrlen, sizeof storage));
        address_from_socket(&storage, &address);
        if (address.any.sa_family == AF_INET)
            address.v4.sin_port = htons(lookup->port);
        else
            address.v6.sin6_port = htons(lookup->port);
        add_address(lookup, &address);
    }
    lookup->result.addresses = lookup->addresses;
    lookup->result.ttl_ms = ttl_s == INT64_MAX ? 0 : MAX_OF(ttl_s, 0) * MS_PER_SECOND;
    return true;
}

static void set_failure(struct resolved *result, int status)
{
    switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENONAME: *result = (struct resolved){.error = -ENOENT, .reason = "no such name"}; break;
    case ARES_ENODATA:
        *result = (struct resolved){.error = -ENOENT, .reason = "the name has no addresses"};
        break;
    case ARES_EBADNAME: *result = (struct resolved){.error = -ENOENT, .reason = "not a host name"}; break;
    case ARES_ETIMEOUT:
        *result = (struct resolved){.error = -ETIMEDOUT, .reason = "no name server answered in time"};
        break;
    case ARES_ECONNREFUSED:
        *result = (struct resolved){.error = -EIO, .reason = "no name server can be reached"};
        break;
    case ARES_ESERVFAIL:
        *result = (struct resolved){.error = -EIO, .reason = "the name server failed to find an answer"};
        break;
    case ARES_EREFUSED:
        *result = (struct resolved){.error = -EIO, .reason = "the name server refused to answer"};
        break;
    default: *result = (struct resolved){.error = -EIO, .reason = ares_strerror(status)}; break;
    }
}

static void answer(struct lookup *lookup)
{
    list_remove(&lookup->link);
    list_push_back(&lookup->resolver->answered, &lookup->link);
    post_delivery(lookup->resolver);
}

static void on_answer(void *argument, int status, int timeouts, struct ares_addrinfo *found)
{
    (void)timeouts; /* of interest only to who tunes the servers */
    struct lookup *lookup = argument;
    if (status == ARES_EDESTRUCTION || !lookup->query) {
        free_lookup(lookup);
    } else {
        if (status == ARES_SUCCESS && found && !found->nodes)
            status = ARES_ENODATA;
        if (status == ARES_SUCCESS && (!found || !copy_addresses(lookup, found)))
            status = ARES_ENOMEM;
        if (status != ARES_SUCCESS)
            set_failure(&lookup->result, status);
        answer(lookup);
    }
    ares_freeaddrinfo(found);
}

/* After anything that c-ares did: when it wants to be called again though nothing comes. */
static void set_timer(struct resolver *resolver)
{
    struct timeval left;
    if (ares_timeout(resolver->channel, NULL, &left))
        timer_set(resolver->loop, &resolver->timer,
                  time_monotonic_ns() / NS_PER_MS + left.tv_sec * MS_PER_SECOND + left.tv_usec / 1000 + 1);
    else
        timer_clear(resolver->loop, &resolver->timer);
}

static void on_timeout(struct timer *timer)
{
    struct resolver *resolver = CONTAINER_OF(timer, struct resolver, timer);
    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_timer(resolver);
}

static void socket_ready(struct watch *watch, uint32_t events)
{
    struct resolver *resolver = CONTAINER_OF(watch, struct channel_socket, watch)->resolver;
    int fd = watch->fd; /* the watch may go in the first call */
    ares_process_fd(resolver->channel, events & EVENTS_IN ? fd : ARES_SOCKET_BAD,
                    events & EVENTS_OUT ? fd : ARES_SOCKET_BAD);
    set_timer(resolver);
}

static struct channel_socket *find_socket(struct resolver *resolver, int fd)
{
    LIST_EACH (link, &resolver->sockets) {
        struct channel_socket *s = CONTAINER_OF(link, struct channel_socket, link);
        if (s->watch.fd == fd)
            return s;
    }
    return NULL;
}

static void remove_socket(struct resolver *resolver, struct channel_socket *s)
{
    if (!s)
        return;
    loop_remove(resolver->loop, &s->watch);
    list_remove(&s->link);
    memory_free(s);
}

/* c-ares tells what it waits for; neither: the socket is about to be closed. If it cannot be watched, the
 * lookup times out. */
static void on_socket_state(void *argument, ares_socket_t fd, int readable, int writable)
{
    struct resolver *resolver = argument;
    struct channel_socket *s = find_socket(resolver, fd);
    uint32_t events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);
    if (!events) {
        remove_socket(resolver, s);
    } else if (s) {
        (void)loop_change(resolver->loop, &s->watch, events); /* see above */
    } else if ((s = memory_alloc(sizeof *s))) {
        *s = (struct channel_socket){.watch = {.fd = fd, .on_ready = socket_ready}, .resolver = resolver};
        list_push_back(&resolver->sockets, &s->link);
        if (loop_add(resolver->loop, &s->watch, events))
            remove_socket(resolver, s);
    }
}

static int open_channel(struct resolver *resolver, const char *servers, int64_t timeout_ms, int tries)
{
    char lookups[] = "fb"; /* /etc/hosts before the servers */
    struct ares_options options = {
        .timeout =
            (int)MIN_OF(MAX_OF(timeout_ms, 1), INT32_MAX / 1024), /* c-ares doubles it for each round */
        .tries = MAX_OF(tries, 1),
        .lookups = lookups,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = resolver,
    };
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
    int status = ares_init_options(&resolver->channel, &options, mask);
    if (status != ARES_SUCCESS || !servers)
        return status;
    status = ares_set_servers_ports_csv(resolver->channel, servers);
    if (status != ARES_SUCCESS)
        ares_destroy(resolver->channel);
    return status;
}

struct resolver *resolver_new(struct loop *loop, const char *servers, int64_t timeout_ms, int tries,
                              struct error *reterr)
{
    struct resolver *resolver = memory_zero(sizeof *resolver);
    if (!resolver) {
        error_set(reterr, -ENOMEM, "cannot resolve names: out of memory");
        return NULL;
    }
    resolver->loop = loop;
    resolver->timer.on_due = on_timeout;
    resolver->deliver.run = deliver;
    list_init(&resolver->sockets);
    list_init(&resolver->under_way);
    list_init(&resolver->answered);
    int status = ares_library_init(ARES_LIB_INIT_ALL); /* counted */
    if (status == ARES_SUCCESS) {
        status = open_channel(resolver, servers, timeout_ms, tries);
        if (status == ARES_SUCCESS)
            return resolver;
        ares_library_cleanup();
    }
    error_set(reterr, -EINVAL, "cannot resolve names with %s%s: %s",
              servers ? "the name servers " : "the system's settings", servers ? servers : "",
              ares_strerror(status));
    memory_free(resolver);
    return NULL;
}

void resolver_free(struct resolver *resolver)
{
    if (!resolver)
        return;
    ares_destroy(
        resolver->channel); /* answers all that is under way with ARES_EDESTRUCTION, closes all sockets */
    ares_library_cleanup();
    while (!list_is_empty(&resolver->answered))
        free_lookup(CONTAINER_OF(resolver->answered.next, struct lookup, link));
    timer_clear(resolver->loop, &resolver->timer);
    if (resolver->deliver_posted)
        loop_unpost(resolver->loop, &resolver->deliver);
    memory_free(resolver);
}

/* What needs no server: an address as text (c-ares 1.18 would ask for the other family all the same), an
 * empty name. */
static bool answer_here(struct lookup *lookup, const char *name)
{
    struct address address;
    if (!name[0]) {
        set_failure(&lookup->result, ARES_EBADNAME);
    } else if (address_parse_ip(text_of(name), lookup->port, &address)) {
        lookup->addresses = memory_alloc(sizeof address);
        if (lookup->addresses)
            add_address(lookup, &address);
        else
            set_failure(&lookup->result, ARES_ENOMEM);
        lookup->result.addresses = lookup->addresses;
    } else {
        return false;
    }
    answer(lookup);
    return true;
}

void resolver_start(struct resolver *resolver, struct resolver_query *query, const char *name, uint16_t port)
{
    struct lookup *lookup = memory_zero(sizeof *lookup);
    if (!lookup) {
        query->internal = resolver->starved;
        resolver->starved = query;
        post_delivery(resolver);
        return;
    }
    lookup->resolver = resolver;
    lookup->query = query;
    lookup->port = port;
    lookup->result.reason = "";
    query->internal = lookup;
    list_push_back(&resolver->under_way, &lookup->link);
    if (answer_here(lookup, name))
        return;
    struct ares_addrinfo_hints hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = ARES_AI_NOSORT, /* all are used, in no order */
    };
    ares_getaddrinfo(resolver->channel, name, NULL, &hints, on_answer, lookup);
    set_timer(resolver);
}

static bool cancel_starved(struct resolver *resolver, struct resolver_query *query)
{
    for (struct resolver_query *at = resolver->starved, *before = NULL; at; before = at, at = at->internal) {
        if (at != query)
            continue;
        if (before)
            before->internal = at->internal;
        else
            resolver->starved = at->internal;
        return true;
    }
    return false;
}

void resolver_cancel(struct resolver *resolver, struct resolver_query *query)
{
    if (!cancel_starved(resolver, query) && query->internal) {
        struct lookup *lookup = query->internal;
        lookup->query = NULL; /* c-ares cancels all or nothing: the answer will be dropped */
    }
    query->internal = NULL;
}
