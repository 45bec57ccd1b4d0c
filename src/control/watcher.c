/* Watches files by inotify on their folders, so that a file that is replaced (by rename, as editors and Kubernetes do) is seen as well.
 *
 * Others write into those folders too, the gateway among them (addresses, logs, crash reports). So an event counts if it names a file or fits a
 * pattern; after any other the files are looked at: a link on the way to one of them may point elsewhere now. */
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "control/gateway_state.h"

enum {
    QUIET_MS = 100,
    FOLDERS_MAX = 256,
    EVENTS = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_ATTRIB
};

struct watcher {
    struct loop *loop;
    struct watch watch;
    struct timer quiet;
    void (*changed)(void *argument);
    void *argument;
    const struct file_stamp *files;
    size_t files_count;
    bool is_named; /* an event since the last call was about one of the files */
    int folders[FOLDERS_MAX];
    size_t folders_count;
};

static bool all_current(const struct watcher *watcher)
{
    for (size_t i = 0; i < watcher->files_count; i++)
        if (!file_stamp_is_current(&watcher->files[i]))
            return false;
    return true;
}

static void settled(struct timer *timer)
{
    struct watcher *watcher = CONTAINER_OF(timer, struct watcher, quiet);
    bool changed = watcher->is_named || !all_current(watcher);
    watcher->is_named = false;
    if (changed)
        watcher->changed(watcher->argument);
}

static const char *name_of(const struct file_stamp *file)
{
    const char *slash = strrchr(file->path.at, '/');
    return slash ? slash + 1 : file->path.at;
}

/* In which folder it happened does not matter: at worst a reload changes nothing. */
static bool names_a_file(const struct watcher *watcher, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW)
        return true; /* events were lost: it may have been */
    for (size_t i = 0; event->len > 0 && i < watcher->files_count; i++)
        if (!strcmp(name_of(&watcher->files[i]), event->name)
            || !fnmatch(name_of(&watcher->files[i]), event->name, FNM_PERIOD))
            return true;
    return false;
}

/* Several events in a row are one change. */
static void on_event(struct watch *watch, uint32_t events)
{
    struct watcher *watcher = CONTAINER_OF(watch, struct watcher, watch);
    alignas(struct inotify_event) char buffer[4096];
    bool any = false;
    (void)events; /* there is but one kind */
    for (ssize_t size; (size = read(watch->fd, buffer, sizeof buffer)) > 0;) {
        any = true;
        const struct inotify_event *event;
        for (ssize_t at = 0; at < size; at += (ssize_t)(sizeof *event + event->len)) {
            event = (const struct inotify_event *)(buffer + at);
            watcher->is_named = watcher->is_named || names_a_file(watcher, event);
        }
    }
    if (any && watcher->folders_count > 0)
        timer_set(watcher->loop, &watcher->quiet, watcher->loop->now_ms + QUIET_MS);
}

struct watcher *watcher_new(struct loop *loop, void (*changed)(void *argument), void *argument,
                            struct error *reterr)
{
    struct watcher *watcher = memory_zero(sizeof *watcher);
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), error = fd < 0 ? -errno : watcher ? 0 : -ENOMEM;
    if (!error) {
        *watcher = (struct watcher){.loop = loop,
                                    .watch = {fd, on_event},
                                    .quiet = {.on_due = settled},
                                    .changed = changed,
                                    .argument = argument};
        error = loop_add(loop, &watcher->watch, EPOLLIN | EPOLLET);
    }
    if (!error)
        return watcher;
    if (fd >= 0)
        close(fd);
    memory_free(watcher);
    error_system(reterr, error, "cannot watch files");
    return NULL;
}

static bool is_watched(const struct watcher *watcher, int folder)
{
    for (size_t i = 0; i < watcher->folders_count; i++)
        if (watcher->folders[i] == folder)
            return true;
    return false;
}

void watcher_set(struct watcher *watcher, const struct file_stamp *files, size_t count)
{
    int before[FOLDERS_MAX];
    size_t before_count = watcher->folders_count;
    memcpy(before, watcher->folders, sizeof before);
    watcher->folders_count = 0;
    watcher->files = files;
    watcher->files_count = count;
    for (size_t i = 0; i < count && watcher->folders_count < FOLDERS_MAX; i++) {
        char folder[PATH_MAX];
        size_t slash = text_find_last_char(files[i].path, '/');
        if (slash == TEXT_NONE || slash >= sizeof folder)
            continue;
        snprintf(folder, sizeof folder, "%.*s", (int)MAX_OF(slash, (size_t)1), files[i].path.at);
        int id = inotify_add_watch(watcher->watch.fd, folder, EVENTS);
        if (id < 0)
            log_warn("a folder cannot be watched", LOG_STRING("folder", folder),
                     LOG_STRING("reason", strerror(errno)));
        else if (!is_watched(watcher, id))
            watcher->folders[watcher->folders_count++] = id;
    }
    if (watcher->folders_count == FOLDERS_MAX)
        log_warn("too many folders are watched: changes in others are not seen", LOG_INT("max", FOLDERS_MAX));
    for (size_t i = 0; i < before_count; i++)
        if (!is_watched(watcher, before[i]))
            (void)inotify_rm_watch(watcher->watch.fd, before[i]); /* the kernel may have dropped it already */
}

void watcher_free(struct watcher *watcher)
{
    if (!watcher)
        return;
    timer_clear(watcher->loop, &watcher->quiet);
    loop_remove(watcher->loop, &watcher->watch);
    close(watcher->watch.fd);
    memory_free(watcher);
}
