/* Sockets by address; a handful, so they are searched one after the other. */
#include "control/listening.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/address.h"

void listening_set_init(struct listening_set *set)
{
    list_init(&set->all);
    set->count = 0;
}

static bool has_file(const struct listening *one)
{
    return !one->passed && one->address.any.sa_family == AF_UNIX && one->address.path[0] == '/';
}

/* --- claims --- */

static struct listening_claim *claim_of(struct listening *one, uint64_t by)
{
    for (size_t i = 0; i < LISTENING_CLAIMS_MAX; i++)
        if (one->claims[i].held && one->claims[i].by == by)
            return &one->claims[i];
    return NULL;
}

static bool is_claimed(const struct listening *one)
{
    for (size_t i = 0; i < LISTENING_CLAIMS_MAX; i++)
        if (one->claims[i].held)
            return true;
    return false;
}

static bool is_claimed_as(const struct listening *one, struct text name)
{
    for (size_t i = 0; i < LISTENING_CLAIMS_MAX; i++)
        if (one->claims[i].held && text_equal(text_of(one->claims[i].name), name))
            return true;
    return false;
}

static void set_claim(struct listening *one, uint64_t by, struct text name)
{
    struct listening_claim *claim = claim_of(one, by);
    for (size_t i = 0; !claim && i < LISTENING_CLAIMS_MAX; i++)
        if (!one->claims[i].held)
            claim = &one->claims[i];
    CHECK(claim); /* no more than that many processes have a say at one time */
    claim->held = true;
    claim->by = by;
    memcpy(claim->name, name.at, name.size);
    claim->name[name.size] = '\0';
}

/* --- finding --- */

static bool is_for(const struct listening *one, const struct address *address, struct text name)
{
    if (!address_equal(&one->address, address))
        return false;
    bool any_port = address->any.sa_family != AF_UNIX && address_port(address) == 0;
    return !any_port || is_claimed_as(one, name);
}

static struct listening *find(struct listening_set *set, const struct address *address, struct text name)
{
    struct listening *by_name = NULL;
    LIST_EACH (link, &set->all) {
        struct listening *one = CONTAINER_OF(link, struct listening, link);
        if (is_for(one, address, name))
            return one;
        if (one->passed && name.size > 0 && text_equal(text_of(one->passed_name), name))
            by_name = one;
    }
    return by_name;
}

/* --- the end of one --- */

static void drop(struct listening_set *set, struct listening *one)
{
    struct stat about;
    if (has_file(one) && lstat(one->address.path, &about) == 0 && about.st_dev == one->device
        && about.st_ino == one->inode && unlink(one->address.path) < 0)
        log_warn("cannot remove the file of a unix socket", LOG_STRING("path", one->address.path),
                 LOG_INT("errno", errno));
    close(one->fd);
    list_remove(&one->link);
    memory_free(one);
    set->count--;
}

/* --- a new one --- */

/* A socket of this set that keeps the kernel from giving out `address`: the same port on all addresses, or the other way round. */
static const struct listening *find_overlap(struct listening_set *set, const struct address *address)
{
    LIST_EACH (link, &set->all) {
        const struct listening *one = CONTAINER_OF(link, struct listening, link);
        if (address->any.sa_family != AF_UNIX && one->address.any.sa_family == address->any.sa_family
            && address_port(&one->address) == address_port(address))
            return one;
    }
    return NULL;
}

/* Adds to the reasons of socket_listen() what only this place knows. */
static int explain(struct listening_set *set, const struct address *address, struct error *reterr)
{
    char written[ADDRESS_TEXT_SIZE];
    int size = (int)address_write(address, written), code = reterr->code;
    bool is_unix = address->any.sa_family == AF_UNIX;
    const struct listening *overlap = code == -EADDRINUSE ? find_overlap(set, address) : NULL;
    if (overlap)
        return error_set(
            reterr, code,
            "cannot listen on %.*s: this gateway itself listens on %s; remove that listener in one reload, "
            "add this one in the next",
            size, written, overlap->written);
    if (code == -EADDRINUSE && is_unix)
        return error_set(
            reterr, code,
            "cannot listen on %.*s: another process listens there; stop it, or change the listener's address",
            size, written);
    if (code == -EADDRINUSE)
        return error_set(
            reterr, code,
            "cannot listen on %.*s: another process uses the port (\"ss -ltnp sport = :%u\" shows it); stop "
            "it, or change the listener's address",
            size, written, (unsigned)address_port(address));
    if (code == -EACCES && !is_unix)
        return error_set(
            reterr, code,
            "cannot listen on %.*s: ports below 1024 need the capability CAP_NET_BIND_SERVICE; start as root "
            "with `user:` set, or use a higher port",
            size, written);
    return code;
}

static void set_address(struct listening *one, const struct address *address)
{
    one->written[address_write(address, one->written)] = '\0';
    one->address = *address;
    if (address->any.sa_family == AF_UNIX)
        one->address.path = one->written + sizeof "unix:" - 1;
}

static int add(struct listening_set *set, const struct address *address, struct error *reterr,
               struct listening **ret_one)
{
    struct error error = {.code = 0};
    if (set->count == LISTENING_MAX)
        return error_set(reterr, -EMFILE, "more than %d listening sockets", LISTENING_MAX);
    struct listening *one = memory_zero(sizeof *one);
    if (!one)
        return error_set(reterr, -ENOMEM, "no memory for a listening socket");
    one->fd = socket_listen(address, LISTENING_BACKLOG, false, &error);
    if (one->fd < 0) {
        int code = explain(set, address, &error);
        memory_free(one);
        return error_set(reterr, code, "%s", error.said);
    }
    set_address(one, address);
    struct stat about;
    if (has_file(one) && lstat(one->address.path, &about) == 0) {
        one->device = about.st_dev;
        one->inode = about.st_ino;
    }
    list_push_back(&set->all, &one->link);
    set->count++;
    *ret_one = one;
    return 0;
}

struct listening *listening_set_open(struct listening_set *set, struct text name, struct text address,
                                     uint64_t claim, struct error *reterr)
{
    struct address parsed;
    if (name.size >= LISTENING_NAME_SIZE) {
        error_set(reterr, -ENAMETOOLONG, "the name of a listener is longer than %d bytes",
                  LISTENING_NAME_SIZE - 1);
        return NULL;
    }
    if (!address_parse(address, &parsed)) {
        error_set(reterr, -EINVAL,
                  "\"%.*s\" is no address to listen on; it looks like 127.0.0.1:8080 or unix:/run/x.sock",
                  TEXT_ARGS(address));
        return NULL;
    }
    struct listening *one = find(set, &parsed, name);
    if (!one && add(set, &parsed, reterr, &one) < 0)
        return NULL;
    set_claim(one, claim, name);
    return one;
}

void listening_set_drop(struct listening_set *set, struct text name, struct text address, uint64_t claim)
{
    struct address parsed;
    struct listening *one = address_parse(address, &parsed) ? find(set, &parsed, name) : NULL;
    struct listening_claim *held = one ? claim_of(one, claim) : NULL;
    if (!held || !text_equal(text_of(held->name), name))
        return;
    held->held = false;
    if (!is_claimed(one) && !one->passed)
        drop(set, one);
}

size_t listening_set_keep(struct listening_set *set, uint64_t claim)
{
    size_t before = set->count;
    LIST_EACH_SAFE (link, &set->all) {
        struct listening *one = CONTAINER_OF(link, struct listening, link);
        for (size_t i = 0; i < LISTENING_CLAIMS_MAX; i++)
            one->claims[i].held = one->claims[i].held && one->claims[i].by == claim;
        if (is_claimed(one) || one->passed)
            continue;
        /* A predecessor that drains has it too, and accepts no more: its clients would wait for nobody. */
        (void)shutdown(one->fd, SHUT_RDWR);
        drop(set, one);
    }
    return before - set->count;
}

void listening_set_forget(struct listening_set *set, uint64_t claim)
{
    LIST_EACH_SAFE (link, &set->all) {
        struct listening *one = CONTAINER_OF(link, struct listening, link);
        struct listening_claim *held = claim_of(one, claim);
        if (!held)
            continue;
        held->held = false;
        if (!is_claimed(one) && !one->passed)
            drop(set, one);
    }
}

void listening_set_leave(struct listening_set *set, uint64_t claim)
{
    LIST_EACH (link, &set->all) {
        struct listening *one = CONTAINER_OF(link, struct listening, link);
        struct listening_claim *held = claim_of(one, claim), *left = claim_of(one, LISTENING_LEFT);
        if (!held)
            continue;
        if (left)
            left->held = false; /* of one before it */
        held->by = LISTENING_LEFT;
    }
}

/* --- from elsewhere --- */

static bool accepts_streams(int fd)
{
    int listens = 0, type = 0;
    socklen_t size = sizeof listens;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens
           && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

/* As address_from_socket(), with the path of a unix socket. */
static void local_address(const struct sockaddr_storage *storage, socklen_t size,
                          char path[sizeof((struct sockaddr_un *)0)->sun_path + 1],
                          struct address *ret_address)
{
    const struct sockaddr_un *local = (const struct sockaddr_un *)storage;
    address_from_socket(storage, ret_address);
    if (storage->ss_family != AF_UNIX)
        return;
    size_t length =
        size > offsetof(struct sockaddr_un, sun_path) ? size - offsetof(struct sockaddr_un, sun_path) : 0;
    memcpy(path, local->sun_path, length);
    path[length] = '\0';
    if (length > 0 && path[0] == '\0')
        path[0] = '@'; /* as abstract names are written */
    ret_address->path = path;
}

static struct listening *take(struct listening_set *set, int fd, const struct address *address)
{
    struct listening *one = set->count < LISTENING_MAX ? memory_zero(sizeof *one) : NULL;
    if (!one)
        return NULL;
    one->fd = fd;
    set_address(one, address);
    list_push_back(&set->all, &one->link);
    set->count++;
    return one;
}

bool listening_set_pass(struct listening_set *set, int fd, struct text name, struct error *reterr)
{
    struct sockaddr_storage storage = {0};
    struct address address;
    char path[sizeof((struct sockaddr_un *)0)->sun_path + 1];
    socklen_t size = sizeof storage;
    struct listening *one = NULL;
    if (!accepts_streams(fd) || name.size >= LISTENING_NAME_SIZE
        || getsockname(fd, (struct sockaddr *)&storage, &size) < 0) {
        error_set(reterr, -EINVAL, "it is no stream socket that listens");
    } else {
        local_address(&storage, size, path, &address);
        int flags = fcntl(fd, F_GETFL);
        one = flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0
                  ? take(set, fd, &address)
                  : NULL;
        if (!one)
            error_set(reterr, -EMFILE, "no room for it");
    }
    if (!one) {
        close(fd);
        return false;
    }
    one->passed = true;
    memcpy(one->passed_name, name.at, name.size);
    return true;
}

struct listening *listening_set_restore(struct listening_set *set, int fd, struct text address)
{
    struct address parsed;
    if (!address_parse(address, &parsed) || !accepts_streams(fd) || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return NULL;
    return take(set, fd, &parsed);
}

void listening_set_release(struct listening_set *set)
{
    LIST_EACH_SAFE (link, &set->all)
        drop(set, CONTAINER_OF(link, struct listening, link));
}
