/* Names to addresses by c-ares, driven by the loop.
 *
 * Answers are handed out by a task, never from inside c-ares or resolver_start(): so an `on_done` may start,
 * cancel and free. */
#include "net/resolver.h"

#include <ares.h>
#include <errno.h>
#include <netdb.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/time.h"
#include "net/dns_message.h"

enum {
    HOSTS_TTL_MS = 10000, /* /etc/hosts says nothing of how long it holds */
    CLASS_IN = 1,
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

/* A message to the servers, and what came back. */
struct part {
    struct lookup *lookup;
    uint16_t type;
    int status; /* of c-ares */
    struct dns_answer answer;
};

enum { PARTS_MAX = 2 };

/* One question until its answer has been handed out. A cancelled one stays until c-ares lets go of its parts. */
struct lookup {
    struct list link;
    struct resolver *resolver;
    struct resolver_query *query; /* NULL: cancelled */
    uint16_t port;
    struct part parts[PARTS_MAX];
    unsigned parts_count, pending;
    bool destroyed; /* the resolver goes: nothing is handed out */
    struct resolved result;
    struct address *addresses;
};

static void free_lookup(struct lookup *lookup)
{
    list_remove(&lookup->link);
    for (unsigned i = 0; i < lookup->parts_count; i++)
        dns_answer_release(&lookup->parts[i].answer);
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

static void set_port(struct address *address, uint16_t port)
{
    if (address->any.sa_family == AF_INET)
        address->v4.sin_port = htons(port);
    else
        address->v6.sin6_port = htons(port);
}

/* Puts the addresses of all parts into one list; false: no memory. */
static bool join_addresses(struct lookup *lookup)
{
    size_t count = 0;
    for (unsigned i = 0; i < lookup->parts_count; i++)
        count += lookup->parts[i].answer.count;
    lookup->addresses = memory_array(count, sizeof *lookup->addresses);
    if (!lookup->addresses)
        return false;
    for (unsigned i = 0; i < lookup->parts_count; i++) {
        for (size_t k = 0; k < lookup->parts[i].answer.count; k++) {
            struct address *address = &lookup->addresses[lookup->result.count++];
            *address = lookup->parts[i].answer.addresses[k];
            set_port(address, lookup->port);
        }
    }
    lookup->result.addresses = lookup->addresses;
    return true;
}

static bool is_negative(int status)
{
    return status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_ENONAME;
}

static void set_failure(struct resolved *result, int status)
{
    result->count = 0;
    result->error = -EIO;
    switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENONAME:
        result->error = -ENOENT;
        result->reason = "no such name";
        break;
    case ARES_ENODATA:
        result->error = -ENOENT;
        result->reason = "the name has no addresses";
        break;
    case ARES_EBADNAME:
        result->error = -ENOENT;
        result->reason = "not a host name";
        break;
    case ARES_ETIMEOUT:
        result->error = -ETIMEDOUT;
        result->reason = "no name server answered in time";
        break;
    case ARES_ECONNREFUSED: result->reason = "no name server can be reached"; break;
    case ARES_ESERVFAIL: result->reason = "the name server failed to find an answer"; break;
    case ARES_EREFUSED: result->reason = "the name server refused to answer"; break;
    default: result->reason = ares_strerror(status); break;
    }
}

static void answer(struct lookup *lookup)
{
    list_remove(&lookup->link);
    list_push_back(&lookup->resolver->answered, &lookup->link);
    post_delivery(lookup->resolver);
}

/* Which status speaks for all: that something was found; else what is not known to be so; else that there is nothing. */
static int joint_status(const struct lookup *lookup)
{
    int joint = lookup->parts[0].status;
    for (unsigned i = 1; i < lookup->parts_count; i++) {
        int status = lookup->parts[i].status;
        bool weaker = joint == ARES_SUCCESS || (status != ARES_SUCCESS && !is_negative(joint));
        bool no_data = status == ARES_ENODATA && joint == ARES_ENOTFOUND; /* so the name exists */
        if (!weaker && (status == ARES_SUCCESS || !is_negative(status) || no_data))
            joint = status;
    }
    return joint;
}

static void note_ttl(struct resolved *result, const struct dns_answer *answer)
{
    int64_t ttl_ms = answer->ttl_s * MS_PER_SECOND;
    if (answer->ttl_s >= 0 && (result->ttl_ms < 0 || ttl_ms < result->ttl_ms))
        result->ttl_ms = ttl_ms;
}

/* All parts are back. */
static void conclude(struct lookup *lookup)
{
    struct resolved *result = &lookup->result;
    int status = joint_status(lookup);
    result->ttl_ms = -1;
    for (unsigned i = 0; i < lookup->parts_count; i++) {
        const struct part *part = &lookup->parts[i];
        if (part->status == ARES_SUCCESS || status != ARES_SUCCESS)
            note_ttl(result, &part->answer);
        if (part->status != ARES_SUCCESS && !is_negative(part->status))
            result->failed_family = part->type == DNS_TYPE_AAAA ? AF_INET6 : AF_INET;
    }
    if (status == ARES_SUCCESS && lookup->parts[0].type == DNS_TYPE_SRV) {
        result->targets = lookup->parts[0].answer.targets;
        result->count = lookup->parts[0].answer.count;
    } else if (status == ARES_SUCCESS && !join_addresses(lookup)) {
        status = ARES_ENOMEM;
    }
    if (status != ARES_SUCCESS)
        set_failure(result, status);
    answer(lookup);
}

static int read_part(struct part *part, int status, const unsigned char *message, int size)
{
    if (!message || size <= 0)
        return status == ARES_SUCCESS ? ARES_EBADRESP : status;
    int error = dns_answer_read(message, (size_t)size, part->type, &part->answer);
    if (status != ARES_SUCCESS)
        return status;
    if (error)
        return error == -ENOMEM ? ARES_ENOMEM : ARES_EBADRESP;
    return part->answer.count ? ARES_SUCCESS : ARES_ENODATA;
}

static void on_answer(void *argument, int status, int timeouts, unsigned char *message, int size)
{
    (void)timeouts; /* of interest only to who tunes the servers */
    struct part *part = argument;
    struct lookup *lookup = part->lookup;
    part->status = read_part(part, status, message, size);
    lookup->destroyed |= status == ARES_EDESTRUCTION;
    if (--lookup->pending > 0)
        return;
    if (lookup->destroyed || !lookup->query)
        free_lookup(lookup);
    else
        conclude(lookup);
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

static int open_channel(struct resolver *resolver, const struct resolver_options *wanted)
{
    struct ares_options options = {
        .flags = wanted->search ? 0 : ARES_FLAG_NOSEARCH,
        .timeout = (int)MIN_OF(MAX_OF(wanted->timeout_ms, 1),
                               INT32_MAX / 1024), /* c-ares doubles it for each round */
        .tries = MAX_OF(wanted->tries, 1),
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = resolver,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    int status = ares_init_options(&resolver->channel, &options, mask);
    if (status != ARES_SUCCESS || !wanted->servers)
        return status;
    status = ares_set_servers_ports_csv(resolver->channel, wanted->servers);
    if (status != ARES_SUCCESS)
        ares_destroy(resolver->channel);
    return status;
}

struct resolver *resolver_new(struct loop *loop, const struct resolver_options *options, struct error *reterr)
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
        status = open_channel(resolver, options);
        if (status == ARES_SUCCESS)
            return resolver;
        ares_library_cleanup();
    }
    error_set(reterr, -EINVAL, "cannot resolve names with %s%s: %s",
              options->servers ? "the name servers " : "the system's settings",
              options->servers ? options->servers : "", ares_strerror(status));
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

static bool take_host(struct lookup *lookup, const struct hostent *host, size_t *count)
{
    for (size_t i = 0; host->h_addr_list[i]; i++) {
        struct address *larger = memory_resize(lookup->addresses, (*count + 1) * sizeof *larger);
        if (!larger)
            return false;
        lookup->addresses = larger;
        struct sockaddr_storage storage = {.ss_family = (sa_family_t)host->h_addrtype};
        if (host->h_addrtype == AF_INET)
            memcpy(&((struct sockaddr_in *)&storage)->sin_addr, host->h_addr_list[i], 4);
        else
            memcpy(&((struct sockaddr_in6 *)&storage)->sin6_addr, host->h_addr_list[i], 16);
        address_from_socket(&storage, &larger[*count]);
        set_port(&larger[(*count)++], lookup->port);
    }
    return true;
}

/* /etc/hosts before the servers. */
static bool find_in_hosts(struct lookup *lookup, const char *name)
{
    static const int families[] = {AF_INET, AF_INET6};
    size_t count = 0;
    for (size_t i = 0; i < COUNT_OF(families); i++) {
        struct hostent *host;
        if (ares_gethostbyname_file(lookup->resolver->channel, name, families[i], &host) != ARES_SUCCESS)
            continue;
        if (!take_host(lookup, host, &count))
            count = 0;
        ares_free_hostent(host);
    }
    lookup->result.addresses = lookup->addresses;
    lookup->result.count = count;
    lookup->result.ttl_ms = HOSTS_TTL_MS;
    return count > 0;
}

static bool take_literal(struct lookup *lookup, const struct address *address)
{
    lookup->addresses = memory_alloc(sizeof *address);
    if (!lookup->addresses)
        return false;
    lookup->addresses[0] = *address;
    lookup->result.addresses = lookup->addresses;
    lookup->result.count = 1;
    return true;
}

/* What needs no server: an address as text, an empty name, a name of /etc/hosts. */
static bool answer_here(struct lookup *lookup, const char *name)
{
    struct address address;
    if (!name[0])
        set_failure(&lookup->result, ARES_EBADNAME);
    else if (address_parse_ip(text_of(name), lookup->port, &address)) {
        if (!take_literal(lookup, &address))
            set_failure(&lookup->result, ARES_ENOMEM);
    } else if (!find_in_hosts(lookup, name))
        return false;
    answer(lookup);
    return true;
}

/* NULL: no memory, which the query will be told. */
static struct lookup *begin(struct resolver *resolver, struct resolver_query *query, uint16_t port)
{
    struct lookup *lookup = memory_zero(sizeof *lookup);
    if (!lookup) {
        query->internal = resolver->starved;
        resolver->starved = query;
        post_delivery(resolver);
        return NULL;
    }
    lookup->resolver = resolver;
    lookup->query = query;
    lookup->port = port;
    lookup->result.reason = "";
    query->internal = lookup;
    list_push_back(&resolver->under_way, &lookup->link);
    return lookup;
}

/* All parts are counted before the first one is sent: c-ares may answer at once. */
static void ask(struct lookup *lookup, const char *name, const uint16_t *types, unsigned count)
{
    struct resolver *resolver = lookup->resolver;
    lookup->parts_count = lookup->pending = count;
    for (unsigned i = 0; i < count; i++)
        lookup->parts[i] = (struct part){lookup, types[i], ARES_ETIMEOUT, {.ttl_s = -1}};
    for (unsigned i = 0; i < count; i++) /* after the last one the lookup may be gone */
        ares_search(resolver->channel, name, CLASS_IN, types[i], on_answer, &lookup->parts[i]);
    set_timer(resolver);
}

void resolver_start(struct resolver *resolver, struct resolver_query *query, const char *name, uint16_t port)
{
    static const uint16_t types[] = {DNS_TYPE_A, DNS_TYPE_AAAA};
    struct lookup *lookup = begin(resolver, query, port);
    if (lookup && !answer_here(lookup, name))
        ask(lookup, name, types, COUNT_OF(types));
}

void resolver_start_srv(struct resolver *resolver, struct resolver_query *query, const char *name)
{
    static const uint16_t types[] = {DNS_TYPE_SRV};
    struct lookup *lookup = begin(resolver, query, 0);
    if (lookup)
        ask(lookup, name, types, COUNT_OF(types));
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
