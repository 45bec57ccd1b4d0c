/* Files of one reading: opened, read within limits, and remembered for watching. */
#include "config/reading.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"

void reading_init(struct reading *reading, const struct document_limits *limits, struct arena *arena,
                  struct report *report)
{
    static const struct document_limits defaults = {256u << 20, 64, 20000000};
    *reading = (struct reading){.arena = arena, .report = report, .limits = limits ? *limits : defaults};
    reading->limits.bytes_max = reading->limits.bytes_max ? reading->limits.bytes_max : defaults.bytes_max;
    reading->limits.depth_max = reading->limits.depth_max ? reading->limits.depth_max : defaults.depth_max;
    reading->limits.nodes_max = reading->limits.nodes_max ? reading->limits.nodes_max : defaults.nodes_max;
    table_init(&reading->files_seen);
}

void reading_release(struct reading *reading)
{
    table_release(&reading->files_seen);
}

struct text reading_path(struct reading *reading, struct text folder, struct text path)
{
    bool is_alone = text_starts_with(path, TEXT("/")) || !folder.size;
    struct text parts[] = {folder, text_ends_with(folder, TEXT("/")) ? TEXT("") : TEXT("/"), path};
    return is_alone ? arena_copy(reading->arena, path) : arena_join(reading->arena, parts, COUNT_OF(parts));
}

static struct text absolute(struct reading *reading, struct text path)
{
    char folder[4096];
    if (text_starts_with(path, TEXT("/")) || !getcwd(folder, sizeof folder))
        return arena_copy(reading->arena, path);
    return reading_path(reading, text_of(folder), path);
}

bool reading_watch(struct reading *reading, struct text path)
{
    struct text full = absolute(reading, path);
    if (!full.size)
        return false;
    if (table_get(&reading->files_seen, full))
        return true;
    if (reading->files_count == reading->files_capacity) {
        size_t larger = reading->files_capacity ? 2 * reading->files_capacity : 16;
        struct file_stamp *files = arena_array(reading->arena, larger, sizeof *files);
        if (!files)
            return false;
        if (reading->files_count)
            memcpy(files, reading->files, reading->files_count * sizeof *files);
        reading->files = files;
        reading->files_capacity = larger;
    }
    struct file_stamp *stamp = &reading->files[reading->files_count++];
    *stamp = file_stamp_of(full);
    return table_put(&reading->files_seen, full, (void *)(uintptr_t)full.at);
}

struct source *reading_source(struct reading *reading, struct text name, struct text folder,
                              struct text content)
{
    struct source *source = ARENA_NEW(reading->arena, struct source);
    if (source)
        *source = (struct source){
            .name = arena_copy(reading->arena, name),
            .folder = arena_copy(reading->arena, folder),
            .content = content,
            .order = reading->sources_count++,
        };
    reading->source = source;
    return source;
}

/* Reads to the end: what fstat() says about files in /proc is not their size. */
static bool read_all(struct reading *reading, int fd, size_t size, size_t bytes_max, struct text *ret_content,
                     struct error *reterr_error)
{
    size_t room = MIN_OF(size, bytes_max) + 2, have = 0;
    char *content = arena_alloc(reading->arena, room);
    while (content) {
        ssize_t got = read(fd, content + have, room - 1 - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_system(reterr_error, -errno, "cannot be read"), false;
        have += (size_t)got;
        if (have > bytes_max)
            return error_set(reterr_error, -EFBIG, "larger than the limit of %zu bytes", bytes_max), false;
        if (got == 0) {
            content[have] = 0;
            *ret_content = (struct text){content, have};
            return true;
        }
        if (have + 1 == room) { /* it grew meanwhile */
            char *larger = arena_alloc(reading->arena, room * 2);
            if (larger)
                memcpy(larger, content, have);
            content = larger;
            room *= 2;
        }
    }
    return error_set(reterr_error, -ENOMEM, "out of memory"), false;
}

bool reading_file(struct reading *reading, struct text path, size_t bytes_max, struct text *ret_content,
                  struct error *reterr_error)
{
    struct stat status;
    int fd = open(path.at, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO must not hold us up */
    if (fd < 0)
        return error_system(reterr_error, -errno, "cannot be opened"), false;
    bool is_read = false;
    if (fstat(fd, &status) != 0)
        error_system(reterr_error, -errno, "cannot be read");
    else if (!S_ISREG(status.st_mode))
        error_set(reterr_error, -EINVAL,
                  S_ISDIR(status.st_mode) ? "a folder, not a file" : "not a regular file");
    else
        is_read = read_all(reading, fd, (size_t)status.st_size, bytes_max, ret_content, reterr_error);
    (void)close(fd); /* only read from */
    if (is_read && (reading->bytes_total += ret_content->size) > reading->limits.bytes_max)
        return error_set(reterr_error, -EFBIG, "too large: with the files before it more than %zu bytes",
                         reading->limits.bytes_max),
               false;
    return is_read;
}
