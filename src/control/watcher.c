/* Watches files by inotify on their folders, so that a file that is replaced (by rename, as editors and Kubernetes do) is seen as well. */
#include <errno.h>
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
    int folders[FOLDERS_MAX];
    size_t folders_count;
};

static void settled(struct timer *timer)
{
    struct watcher *watcher = CONTAINER_OF(timer, struct watcher, quiet);
    watcher->changed(watcher->argument);
}

/* Which file it was does not matter: a reload that changes nothing costs little. Several events in a row are one change. */
static void on_event(struct watch *watch, uint32_t events)
{
    struct watcher *watcher = CONTAINER_OF(watch, struct watcher, watch);
    char dropped[4096];
    bool any = false;
    (void)events; /* there is but one kind */
    while (read(watch->fd, dropped, sizeof dropped) > 0)
        any = true;
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

void watcher_set(struct watcher *watcher, const struct text *files, size_t count)
{
    int before[FOLDERS_MAX];
    size_t before_count = watcher->folders_count;
    memcpy(before, watcher->folders, sizeof before);
    watcher->folders_count = 0;
    for (size_t i = 0; i < count && watcher->folders_count < FOLDERS_MAX; i++) {
        char folder[PATH_MAX];
        size_t slash = text_find_last_char(files[i], '/');
        if (slash == TEXT_NONE || slash >= sizeof folder)
            continue;
        snprintf(folder, sizeof folder, "%.*s", (int)MAX_OF(slash, (size_t)1), files[i].at);
        int id = inotify_add_watch(watcher->watch.fd, folder, EVENTS);
        if (id < 0)
            log_warn("a folder cannot be watched", LOG_STRING("folder", folder),
                     LOG_STRING("reason", strerror(errno)));
        else if (!is_watched(watcher, id))
            watcher->folders[watcher->folders_count++] = id;
    }
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
