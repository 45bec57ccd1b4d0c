/* Sockets by address; a handful, so they are searched one after the other. */
#include "control/listening.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/address.h"

struct listening {
    struct list link;
    int fd;
    struct address address; /* as asked for; the path is `written` */
    char written[ADDRESS_TEXT_SIZE];
    size_t written_size;
    char name[LISTENING_NAME_SIZE];
    uint64_t claim;
    dev_t device; /* of a unix socket's file: another one in its place is not ours to remove */
    ino_t inode;
};

void listening_set_init(struct listening_set *set)
{
    list_init(&set->all);
    set->count = 0;
}

static bool has_file(const struct listening *one)
{
    return one->address.any.sa_family == AF_UNIX && one->address.path[0] == '/';
}

static bool is_for(const struct listening *one, const struct address *address, struct text name)
{
    if (!address_equal(&one->address, address))
        return false;
    bool any_port = address->any.sa_family != AF_UNIX && address_port(address) == 0;
    return !any_port || text_equal(text_of(one->name), name);
}

static struct listening *find(struct listening_set *set, const struct address *address, struct text name)
{
    LIST_EACH (link, &set->all) {
        struct listening *one = CONTAINER_OF(link, struct listening, link);
        if (is_for(one, address, name))
            return one;
    }
    return NULL;
}

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
    one->written_size = address_write(address, one->written);
    one->written[one->written_size] = '\0';
    one->address = *address;
    if (address->any.sa_family == AF_UNIX)
        one->address.path = one->written + sizeof "unix:" - 1;
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

int listening_set_open(struct listening_set *set, struct text name, struct text address, uint64_t claim,
                       struct error *reterr)
{
    struct address parsed;
    if (name.size >= LISTENING_NAME_SIZE)
        return error_set(reterr, -ENAMETOOLONG, "the name of a listener is longer than %d bytes",
                         LISTENING_NAME_SIZE - 1);
    if (!address_parse(address, &parsed))
        return error_set(
            reterr, -EINVAL,
            "\"%.*s\" is no address to listen on; it looks like 127.0.0.1:8080 or unix:/run/x.sock",
            TEXT_ARGS(address));
    struct listening *one = find(set, &parsed, name);
    if (!one) {
        int code = add(set, &parsed, reterr, &one);
        if (code < 0)
            return code;
    }
    memcpy(one->name, name.at, name.size);
    one->name[name.size] = '\0';
    one->claim = claim;
    return one->fd;
}

void listening_set_drop(struct listening_set *set, struct text name, struct text address)
{
    struct address parsed;
    struct listening *one = address_parse(address, &parsed) ? find(set, &parsed, name) : NULL;
    if (one && text_equal(text_of(one->name), name))
        drop(set, one);
}

size_t listening_set_drop_unclaimed(struct listening_set *set, uint64_t claim)
{
    size_t before = set->count;
    LIST_EACH_SAFE (link, &set->all) {
        struct listening *one = CONTAINER_OF(link, struct listening, link);
        if (one->claim != claim)
            drop(set, one);
    }
    return before - set->count;
}

void listening_set_release(struct listening_set *set)
{
    LIST_EACH_SAFE (link, &set->all)
        drop(set, CONTAINER_OF(link, struct listening, link));
}
