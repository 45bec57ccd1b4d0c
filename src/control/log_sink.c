/* Takes log lines of all threads to standard error without a worker ever waiting for it: they go by mail to the control thread. */
#include <stdatomic.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "control/gateway_state.h"

enum { LINES_MAX = 1000 };

struct mailed_line {
    struct task task;
    size_t size;
    char at[];
};

static struct loop *home;
static pthread_t home_thread;
static _Atomic int waiting;
static _Atomic uint64_t dropped;

static void write_line(const char *at, size_t size)
{
    log_to_stderr((struct text){at, size});
}

static void deliver(struct task *task)
{
    struct mailed_line *line = CONTAINER_OF(task, struct mailed_line, task);
    write_line(line->at, line->size);
    memory_free(line);
    atomic_fetch_sub(&waiting, 1);
}

static void sink(struct text line)
{
    if (pthread_equal(pthread_self(), home_thread)) {
        write_line(line.at, line.size);
        return;
    }
    struct mailed_line *mailed =
        atomic_load(&waiting) < LINES_MAX ? memory_alloc(sizeof *mailed + line.size) : NULL;
    if (!mailed) {
        atomic_fetch_add(&dropped, 1);
        return;
    }
    atomic_fetch_add(&waiting, 1);
    mailed->task.run = deliver;
    mailed->size = line.size;
    memcpy(mailed->at, line.at, line.size);
    loop_mail(home, &mailed->task);
}

void log_sink_install(struct loop *control)
{
    home = control;
    home_thread = pthread_self();
    log_set_sink(sink);
}

void log_sink_remove(void)
{
    log_set_sink(NULL);
}
