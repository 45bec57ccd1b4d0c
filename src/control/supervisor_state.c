/* What one supervisor hands to the next across execve: lines of words in a file in memory. The last word of a line may hold spaces. A word that
 * is not known is an error: a program that is asked says no, rather than forget something. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "control/supervisor_private.h"

#define FORMAT "turnpike-supervisor-state 1"

enum { STATE_SIZE_MAX = 4 << 20 };

/* --- writing --- */

static void write_socket(FILE *file, const struct listening *one)
{
    fprintf(file, "socket %d %d %" PRIu64 " %" PRIu64 " %s\n", one->fd, (int)one->passed,
            (uint64_t)one->device, (uint64_t)one->inode, one->written);
    for (size_t i = 0; i < LISTENING_CLAIMS_MAX; i++)
        if (one->claims[i].held)
            fprintf(file, "claim %" PRIu64 " %s\n", one->claims[i].by, one->claims[i].name);
    if (one->passed_name[0])
        fprintf(file, "passed %s\n", one->passed_name);
}

static void write_all(FILE *file, const struct supervisor *s)
{
    fprintf(file, FORMAT "\nstarts %" PRIu64 "\nsettings %" PRId64 " %" PRId64 "\n", s->starts, s->ready_ms,
            s->drain_ms);
    fprintf(file, "upgrades %" PRIu64 " %" PRIu64 " %s\n", s->upgrade.done, s->upgrade.failed,
            s->upgrade.said);
    if (s->level[0] && s->format[0])
        fprintf(file, "log %s %s\n", s->level, s->format);
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        const struct process *process = &s->processes[i];
        if (process->pid > 0)
            fprintf(file, "process %d %d %" PRIu64 " %d %" PRId64 " %" PRId64 " %" PRId64 " %s\n",
                    (int)process->pid, process->link, process->claim, (int)process->role, process->started_ns,
                    process->since_wall_ns, process->connections, process->version);
    }
    LIST_EACH (link, &s->sockets.all)
        write_socket(file, CONTAINER_OF(link, struct listening, link));
    fputs("end\n", file);
}

int supervisor_state_write(const struct supervisor *s)
{
    int fd = memfd_create("turnpike-state", MFD_CLOEXEC);
    int copy = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
    FILE *file = copy >= 0 ? fdopen(copy, "w") : NULL;
    bool fine = file != NULL;
    if (file) {
        write_all(file, s);
        fine = !ferror(file);
        fine = fclose(file) == 0 && fine;
    } else if (copy >= 0) {
        close(copy);
    }
    if (fine)
        return fd;
    int code = errno;
    if (fd >= 0)
        close(fd);
    errno = code;
    return -code;
}

/* --- reading --- */

struct reader {
    struct supervisor *s;
    struct text line; /* the rest of it */
    bool only_ask, bad;
    struct listening *one; /* the last socket; NULL while only asked */
    bool socket_seen;
};

static struct text word(struct reader *reader)
{
    if (!reader->line.at) {
        reader->bad = true;
        return TEXT("");
    }
    return text_split(&reader->line, ' ');
}

static int64_t number(struct reader *reader)
{
    int64_t value = 0;
    if (!text_to_int64(word(reader), &value))
        reader->bad = true;
    return value;
}

/* All that is left of the line. */
static void rest(struct reader *reader, char *to, size_t room)
{
    struct text text = reader->line.at ? reader->line : TEXT("");
    reader->line = (struct text){0};
    if (text.size >= room) {
        reader->bad = true;
        return;
    }
    memcpy(to, text.at, text.size);
    to[text.size] = '\0';
}

static void read_process(struct reader *reader)
{
    struct process read = {.pid = (pid_t)number(reader), .link = (int)number(reader)};
    read.claim = (uint64_t)number(reader);
    int64_t role = number(reader);
    read.role = (enum process_role)role;
    read.started_ns = number(reader);
    read.since_wall_ns = number(reader);
    read.connections = number(reader);
    rest(reader, read.version, sizeof read.version);
    struct process *place = process_find(reader->s, 0);
    if (reader->bad || !place || read.pid <= 0 || role < PROCESS_STARTING || role > PROCESS_RETIRING) {
        reader->bad = true;
        return;
    }
    if (!reader->only_ask && read.link >= 0 && fcntl(read.link, F_SETFD, FD_CLOEXEC) < 0)
        read.link = -1; /* its end will be seen all the same */
    *place = read;
    if (read.role != PROCESS_RETIRING)
        reader->s->current = place;
}

static void read_socket(struct reader *reader)
{
    int fd = (int)number(reader);
    bool passed = number(reader) != 0;
    uint64_t device = 0, inode = 0;
    char address[ADDRESS_TEXT_SIZE];
    reader->bad =
        !text_to_uint64(word(reader), &device) || !text_to_uint64(word(reader), &inode) || reader->bad;
    rest(reader, address, sizeof address);
    reader->socket_seen = true;
    if (reader->bad || reader->only_ask)
        return;
    reader->one = listening_set_restore(&reader->s->sockets, fd, text_of(address));
    if (!reader->one) {
        reader->bad = true;
        return;
    }
    reader->one->passed = passed;
    reader->one->device = (dev_t)device;
    reader->one->inode = (ino_t)inode;
}

static void read_claim(struct reader *reader)
{
    struct listening_claim read = {.held = true, .by = (uint64_t)number(reader)};
    rest(reader, read.name, sizeof read.name);
    reader->bad = reader->bad || !reader->socket_seen;
    for (size_t i = 0; reader->one && i < LISTENING_CLAIMS_MAX; i++) {
        if (!reader->one->claims[i].held) {
            reader->one->claims[i] = read;
            return;
        }
    }
    reader->bad = reader->bad || reader->one;
}

static void read_passed(struct reader *reader)
{
    char name[LISTENING_NAME_SIZE] = "";
    rest(reader, name, sizeof name);
    reader->bad = reader->bad || !reader->socket_seen;
    if (reader->one)
        memcpy(reader->one->passed_name, name, sizeof name);
}

static void read_settings(struct reader *reader)
{
    reader->s->ready_ms = number(reader);
    reader->s->drain_ms = number(reader);
}

static void read_upgrades(struct reader *reader)
{
    struct upgrade *upgrade = &reader->s->upgrade;
    upgrade->done = (uint64_t)number(reader);
    upgrade->failed = (uint64_t)number(reader);
    rest(reader, upgrade->said, sizeof upgrade->said);
}

static void read_starts(struct reader *reader)
{
    reader->s->starts = (uint64_t)number(reader);
}

static void read_log(struct reader *reader)
{
    struct supervisor *s = reader->s;
    struct text level = word(reader);
    enum log_level parsed;
    snprintf(s->level, sizeof s->level, "%.*s", TEXT_ARGS(level));
    rest(reader, s->format, sizeof s->format);
    if (reader->bad || !log_level_parse(level, &parsed)) {
        reader->bad = true;
        return;
    }
    log_set_level(parsed);
    log_set_format(text_equal(text_of(s->format), TEXT("json")) ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
}

static const struct {
    struct text verb;
    void (*read)(struct reader *reader);
} lines[] = {
    {TEXT_INIT("starts"), read_starts},     {TEXT_INIT("settings"), read_settings},
    {TEXT_INIT("upgrades"), read_upgrades}, {TEXT_INIT("log"), read_log},
    {TEXT_INIT("process"), read_process},   {TEXT_INIT("socket"), read_socket},
    {TEXT_INIT("claim"), read_claim},       {TEXT_INIT("passed"), read_passed},
};

static bool read_line(struct reader *reader)
{
    struct text verb = word(reader);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        if (!text_equal(verb, lines[i].verb))
            continue;
        lines[i].read(reader);
        return !reader->bad && !reader->line.at; /* more words than are known mean something */
    }
    return false;
}

/* All lines are there, from the first to the last, and one gateway process is in service. */
static bool read_all(struct reader *reader, struct text all, struct error *reterr)
{
    struct text first = text_split(&all, '\n');
    if (!text_equal(first, TEXT(FORMAT))) {
        error_set(reterr, -EPROTO, "its state is of another format: \"%.*s\" is wanted, not \"%.*s\"",
                  (int)sizeof FORMAT - 1, FORMAT, (int)MIN_OF(first.size, (size_t)64), first.at);
        return false;
    }
    bool whole = false;
    while (all.at && all.size > 0) {
        struct text line = text_split(&all, '\n');
        whole = text_equal(line, TEXT("end"));
        if (whole)
            break;
        reader->line = line;
        if (!read_line(reader)) {
            error_set(reterr, -EPROTO, "a line of its state is not understood: \"%.*s\"",
                      (int)MIN_OF(line.size, (size_t)128), line.at);
            return false;
        }
    }
    if (!whole || all.size > 0 || !reader->s->current) {
        error_set(reterr, -EPROTO, "its state is not whole");
        return false;
    }
    return true;
}

bool supervisor_state_read(struct supervisor *s, int fd, bool only_ask, struct error *reterr)
{
    struct stat about;
    struct reader reader = {.s = s, .only_ask = only_ask};
    bool sized = fstat(fd, &about) == 0 && about.st_size > 0 && about.st_size < STATE_SIZE_MAX;
    size_t size = sized ? (size_t)about.st_size : 0;
    char *bytes = sized ? memory_alloc(size) : NULL;
    bool fine = false;
    if (!bytes || pread(fd, bytes, size, 0) != (ssize_t)size)
        error_system(reterr, -errno, "its state cannot be read");
    else
        fine = read_all(&reader, (struct text){bytes, size}, reterr);
    memory_free(bytes);
    return fine;
}
