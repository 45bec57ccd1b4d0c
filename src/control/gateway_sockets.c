/* Listening sockets: asked for from the supervisor, shared by the snapshots that have them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "control/gateway_state.h"

struct socket_claim {
    struct listener_socket socket;
    struct text name;
    struct list link;
    bool refuses; /* listens no more: a new listener at this address gets a new socket */
    char texts[];
};

static struct socket_claim *find(struct gateway *gateway, struct text name, struct text address)
{
    LIST_EACH (link, &gateway->sockets) {
        struct socket_claim *claim = CONTAINER_OF(link, struct socket_claim, link);
        if (!claim->refuses && text_equal(claim->name, name) && text_equal(claim->socket.key, address))
            return claim;
    }
    return NULL;
}

static struct socket_claim *open_socket(struct gateway *gateway, struct text name, struct text address,
                                        struct error *reterr)
{
    struct socket_claim *claim = memory_zero(sizeof *claim + name.size + address.size + 2);
    if (!claim) {
        error_set(reterr, -ENOMEM, "out of memory");
        return NULL;
    }
    memcpy(claim->texts, address.at, address.size);
    memcpy(claim->texts + address.size + 1, name.at, name.size);
    claim->socket.key = (struct text){claim->texts, address.size};
    claim->name = (struct text){claim->texts + address.size + 1, name.size};
    claim->socket.fd = supervisor_link_listen(&gateway->supervisor, claim->name, claim->socket.key,
                                              &claim->socket.actual, &claim->socket.passed, reterr);
    if (claim->socket.fd < 0) {
        memory_free(claim);
        return NULL;
    }
    list_push_back(&gateway->sockets, &claim->link);
    return claim;
}

static void drop(struct gateway *gateway, struct listener_socket *socket)
{
    struct socket_claim *claim = CONTAINER_OF(socket, struct socket_claim, socket);
    if (--socket->claims > 0)
        return;
    list_remove(&claim->link);
    close(socket->fd);
    if (!gateway->draining && !claim->refuses)
        supervisor_link_release(&gateway->supervisor, claim->name, socket->key);
    memory_free(claim);
}

void gateway_drop_sockets(struct gateway *gateway, struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->listeners_count; i++) {
        struct listener_socket *socket = snapshot->sockets ? snapshot->sockets[i] : NULL;
        if (socket)
            drop(gateway, socket);
    }
}

static bool in_use(const struct snapshot *snapshot, const struct listener_socket *socket)
{
    for (size_t i = 0; snapshot && i < snapshot->listeners_count; i++)
        if (snapshot->sockets[i] == socket)
            return true;
    return false;
}

/* The supervisor may have given the same socket to two listeners: of one address, or by the name that a service manager gave it. */
static bool is_shared(struct gateway *gateway, const struct socket_claim *claim)
{
    LIST_EACH (link, &gateway->sockets) {
        const struct socket_claim *other = CONTAINER_OF(link, const struct socket_claim, link);
        if (other != claim && !other->refuses && address_equal(&other->socket.actual, &claim->socket.actual))
            return true;
    }
    return false;
}

void gateway_refuse_on_old_sockets(struct gateway *gateway)
{
    LIST_EACH (link, &gateway->sockets) {
        struct socket_claim *claim = CONTAINER_OF(link, struct socket_claim, link);
        if (claim->refuses || in_use(gateway->snapshot, &claim->socket)
            || in_use(gateway->admin, &claim->socket))
            continue;
        claim->refuses = true;
        supervisor_link_release(&gateway->supervisor, claim->name, claim->socket.key);
        if (claim->socket.passed || is_shared(gateway, claim))
            continue; /* another's too: the service manager's, or that of a listener that was renamed */
        (void)shutdown(claim->socket.fd, SHUT_RDWR); /* closed when the last snapshot that has it goes */
    }
}

bool gateway_open_sockets(struct gateway *gateway, struct snapshot *snapshot, struct report *report)
{
    bool fine = true;
    snapshot->sockets = arena_array(&snapshot->arena, snapshot->listeners_count, sizeof *snapshot->sockets);
    if (!snapshot->sockets) {
        report_error(report, (struct place){0}, TEXT("listeners"), "out of memory");
        return false;
    }
    for (size_t i = 0; i < snapshot->listeners_count; i++) {
        const struct listener_config *config = snapshot->listeners[i];
        struct error error = {0};
        struct socket_claim *claim = find(gateway, config->name, config->address);
        if (!claim)
            claim = open_socket(gateway, config->name, config->address, &error);
        if (claim) {
            claim->socket.claims++;
            snapshot->sockets[i] = &claim->socket;
            continue;
        }
        fine = false;
        report_error(report, (struct place){0},
                     arena_format(report->arena, "listeners.%.*s.address", TEXT_ARGS(config->name)), "%s",
                     error.said);
    }
    return fine;
}

static void write_member(FILE *file, const char *before, struct text name, const struct address *address)
{
    char escaped[512], text[ADDRESS_TEXT_SIZE];
    size_t name_size = log_escape_json(name, escaped, sizeof escaped);
    size_t size = address_write(address, text);
    fprintf(file, "%s\"%.*s\":\"%.*s\"", before, (int)name_size, escaped, (int)size, text);
}

static void write_all(FILE *file, const struct gateway *gateway)
{
    fputs("{\"listeners\":{", file);
    for (size_t i = 0; i < gateway->snapshot->listeners_count; i++)
        write_member(file, i ? "," : "", gateway->snapshot->listeners[i]->name,
                     &gateway->snapshot->sockets[i]->actual);
    fputs("}", file);
    if (gateway->admin)
        write_member(file, ",", TEXT("admin"), &gateway->admin->sockets[0]->actual);
    fputs("}\n", file);
}

/* The file's bytes, if there are just that many; NULL: not. */
static char *read_text(const char *path, size_t size)
{
    char *text = memory_alloc(size + 1);
    FILE *file = fopen(path, "re");
    bool fine = text && file && fread(text, 1, size + 1, file) == size;
    if (file)
        fclose(file);
    if (fine)
        return text;
    memory_free(text);
    return NULL;
}

/* For scripts and tests: where it listens, with the ports that the kernel chose. Whole or not at all. */
void gateway_write_addresses(const struct gateway *gateway)
{
    char path[600], fresh[640], *text = NULL, *before = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory) {
        write_all(memory, gateway);
        fclose(memory);
    }
    snprintf(path, sizeof path, "%s/addresses.json", gateway->data_dir);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    before = read_text(path, size);
    bool same = text && before && !memcmp(text, before, size);
    FILE *file =
        text && !same ? fopen(fresh, "we") : NULL; /* the same again would wake whoever watches the folder */
    bool written = same || (file && fwrite(text, 1, size, file) == size);
    if (file)
        written = fclose(file) == 0 && written && rename(fresh, path) == 0;
    if (!written)
        log_warn("addresses not written", LOG_STRING("path", path), LOG_STRING("reason", strerror(errno)));
    memory_free(text); /* open_memstream takes it from the same heap */
    memory_free(before);
}
