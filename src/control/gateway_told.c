/* What the supervisor tells the gateway process: that it has a successor, that a watchdog wants signs of life, which other processes there
 * are. */
#include <stdio.h>

#include "base/check.h"
#include "control/gateway_state.h"
#include "control/supervisor_wire.h"
#include "proxy/listener_state.h"

enum { REPORT_MS = 1000, WATCH_MS_MIN = 10 };

/* --- retiring --- */

int64_t gateway_connections(const struct gateway *gateway)
{
    int64_t count = 0;
    for (size_t i = 0; i < gateway->snapshot->listeners_count; i++)
        count += atomic_load(&gateway->snapshot->listeners[i]->state->connections);
    return count;
}

static void report(struct timer *timer)
{
    struct gateway *gateway = CONTAINER_OF(timer, struct gateway, report);
    supervisor_link_left(&gateway->supervisor, gateway_connections(gateway));
    timer_set(&gateway->control.loop, timer, gateway->control.loop.now_ms + REPORT_MS);
}

/* Later, because it may be told in the middle of a reload. */
static void retire(struct task *task)
{
    struct gateway *gateway = CONTAINER_OF(task, struct gateway, retire);
    gateway_retire(gateway);
    gateway->report.on_due = report;
    report(&gateway->report);
}

/* --- watchdog --- */

static void pong(struct task *task)
{
    struct ping *ping = CONTAINER_OF(task, struct ping, task);
    atomic_store(&ping->under_way, false);
}

/* Each worker is sent a task; when all have run theirs the process is well, and the next ones are sent. */
static void watch(struct timer *timer)
{
    struct gateway *gateway = CONTAINER_OF(timer, struct gateway, watch);
    bool well = true;
    for (unsigned i = 0; i < gateway->workers_count; i++)
        well = well && !atomic_load(&gateway->pings[i].under_way);
    timer_set(&gateway->control.loop, timer, gateway->control.loop.now_ms + gateway->watch_ms);
    if (!well)
        return;
    supervisor_link_alive(&gateway->supervisor);
    for (unsigned i = 0; i < gateway->workers_count && !gateway->draining; i++) {
        gateway->pings[i].task.run = pong;
        atomic_store(&gateway->pings[i].under_way, true);
        loop_mail(&gateway->workers[i].loop, &gateway->pings[i].task);
    }
}

static void begin_watch(struct gateway *gateway, struct text period)
{
    if (!text_to_int64(period, &gateway->watch_ms))
        return;
    gateway->watch_ms = MAX_OF(gateway->watch_ms, (int64_t)WATCH_MS_MIN);
    gateway->watch.on_due = watch;
    timer_set(&gateway->control.loop, &gateway->watch, gateway->control.loop.now_ms + gateway->watch_ms);
}

/* --- all --- */

static void keep(char *to, size_t room, struct text said)
{
    snprintf(to, room, "%.*s", TEXT_ARGS(said));
}

static void on_told(struct supervisor_link *link, const struct wire_message *message)
{
    struct gateway *gateway = CONTAINER_OF(link, struct gateway, supervisor);
    const struct text *fields = message->fields;
    if (text_equal(fields[0], TEXT("retire")) && !gateway->retire.run) {
        gateway->retire.run = retire;
        loop_post(&gateway->control.loop, &gateway->retire);
    } else if (text_equal(fields[0], TEXT("watch"))) {
        begin_watch(gateway, fields[1]);
    } else if (text_equal(fields[0], TEXT("processes"))) {
        keep(gateway->processes, sizeof gateway->processes, fields[1]);
    } else if (text_equal(fields[0], TEXT("upgrades"))) {
        (void)text_to_uint64(fields[1], &gateway->upgrades_done); /* what it cannot read stays */
        (void)text_to_uint64(fields[2], &gateway->upgrades_failed);
        keep(gateway->upgrade_failure, sizeof gateway->upgrade_failure, fields[3]);
    }
}

void gateway_listen_to_supervisor(struct gateway *gateway)
{
    gateway->supervisor.on_told = on_told;
}

void gateway_stop_timers(struct gateway *gateway)
{
    timer_clear(&gateway->control.loop, &gateway->report);
    timer_clear(&gateway->control.loop, &gateway->watch);
}
