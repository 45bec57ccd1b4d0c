/* The gateway process from start to end: privileges, threads, signals, drain. */
#include "control/gateway.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/states.h"
#include "base/time.h"
#include "base/crash.h"
#include "control/gateway_state.h"
#include "control/offline.h"
#include "control/process_limits.h"
#include "proxy/settings.h"
#include "proxy/attributes.h"
#include "upstream/endpoint.h"
#include "upstream/health_checker.h"

enum {
    BLOCKING_THREADS = 2,
    BLOCKING_QUEUE = 1024,
    SETTLE_MS = 3000,
    SETTLE_STEP_MS = 10,
    EXIT_STEP_MS = 10
};

/* --- what is fixed for the life of the process: read first, without building anything --- */

/* All that is wrong, not only with what was read so far. */
static void print_all_findings(const char *path)
{
    struct arena arena;
    struct report report;
    struct snapshot *snapshot;
    arena_init(&arena, 0, 0);
    report_init(&report, &arena);
    struct offline *offline = offline_build(path, &report, &snapshot);
    report_print(&report, stderr); /* places live as long as what was read */
    offline_free(offline);
    arena_release(&arena);
}

static bool read_settings(struct gateway *gateway, struct arena *arena, struct document *ret_document,
                          struct settings *ret_settings)
{
    struct report report;
    struct settings_config config;
    report_init(&report, arena);
    struct binder binder = {.arena = arena, .report = &report, .environment = &exchange_environment};
    arena->wipe = true; /* it holds secrets in the clear */
    bool fine = document_read(gateway->config_path, NULL, arena, &report, ret_document)
                && settings_bind(&binder, &ret_document->root, &config);
    if (fine && report.warnings)
        report_print(&report, stderr);
    if (fine)
        *ret_settings = config.settings;
    else
        print_all_findings(gateway->config_path);
    return fine;
}

/* Root keeps state where the system does; others where the XDG base directory specification says. */
static void choose_data_dir(struct gateway *gateway, struct text configured)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (configured.size)
        snprintf(gateway->data_dir, sizeof gateway->data_dir, "%.*s", TEXT_ARGS(configured));
    else if (geteuid() == 0 || (!state && !home))
        snprintf(gateway->data_dir, sizeof gateway->data_dir, "/var/lib/turnpike");
    else
        snprintf(gateway->data_dir, sizeof gateway->data_dir,
                 state ? "%s/turnpike" : "%s/.local/state/turnpike", state ? state : home);
}

/* The folder and those above it. */
static int make_folders(const char *path)
{
    char part[512];
    for (size_t i = 1; path[i]; i++) {
        if (path[i] != '/')
            continue;
        snprintf(part, sizeof part, "%.*s", (int)i, path);
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return -errno;
    }
    return mkdir(path, 0750) < 0 && errno != EEXIST ? -errno : 0;
}

static bool prepare_data_dir(struct gateway *gateway, const struct settings *settings)
{
    choose_data_dir(gateway, settings->data_dir);
    int error = make_folders(gateway->data_dir);
    if (error < 0) {
        log_error("`data_dir` cannot be made; set `data_dir` to a folder that this user may write",
                  LOG_STRING("path", gateway->data_dir), LOG_STRING("reason", strerror(-error)));
        return false;
    }
    return true;
}

static bool become_user(struct gateway *gateway, struct text user)
{
    char name[64];
    if (user.size == 0)
        return true;
    snprintf(name, sizeof name, "%.*s", TEXT_ARGS(user));
    struct passwd *entry = user.size < sizeof name ? getpwnam(name) : NULL;
    if (!entry) {
        log_error("`user` is not a user of this machine", LOG_TEXT("user", user));
        return false;
    }
    if (geteuid() == entry->pw_uid)
        return true;
    if (chown(gateway->data_dir, entry->pw_uid, entry->pw_gid) < 0 || initgroups(name, entry->pw_gid) < 0
        || setgid(entry->pw_gid) < 0 || setuid(entry->pw_uid) < 0) {
        log_error("`user` needs the program to be started as root", LOG_TEXT("user", user),
                  LOG_STRING("reason", strerror(errno)));
        return false;
    }
    supervisor_link_renew(&gateway->supervisor);
    return true;
}

/* --- making --- */

static bool make_workers(struct gateway *gateway, const struct settings *settings)
{
    gateway->workers_count = (unsigned)settings->workers;
    gateway->budget.bytes_max = settings->buffers_bytes_max;
    gateway->threads = thread_pool_new(BLOCKING_THREADS, BLOCKING_QUEUE);
    if (!gateway->threads)
        return false;
    for (unsigned i = 0; i <= gateway->workers_count; i++) {
        struct worker *worker = i < gateway->workers_count ? &gateway->workers[i] : &gateway->control;
        if (worker_init(worker, i, &gateway->control.loop, &gateway->budget, gateway->threads) < 0)
            return false;
        worker->gateway = gateway;
        gateway->all[i] = worker;
        gateway->upstreams[i] = &worker->upstream;
    }
    return true;
}

static bool make_tables(struct gateway *gateway, const struct settings *settings, struct error *reterr)
{
    unsigned threads = gateway->workers_count + 1;
    char servers[256];
    snprintf(servers, sizeof servers, "%.*s", TEXT_ARGS(settings->dns_servers));
    const struct resolver_options dns = {.servers = servers[0] ? servers : NULL,
                                         .timeout_ms = settings->dns_timeout_ms,
                                         .tries = (int)settings->dns_tries,
                                         .search = settings->dns_search};
    gateway->resolver = resolver_new(&gateway->control.loop, &dns, reterr);
    gateway->discovery = gateway->resolver
                             ? discovery_new(&gateway->control.loop, gateway->resolver, &settings->discovery)
                             : NULL;
    gateway->endpoints = endpoints_new(&gateway->control.loop, gateway->upstreams, threads);
    gateway->states = states_new();
    gateway->metrics = metrics_new(threads, (uint32_t)settings->series_max, reterr);
    if (!gateway->discovery || !gateway->endpoints || !gateway->states || !gateway->metrics)
        return false;
    for (unsigned i = 0; i < threads; i++)
        gateway->all[i]->metrics = metrics_thread(gateway->metrics, i);
    gateway->checker = health_checker_new(&gateway->control.upstream, gateway->endpoints,
                                          metrics_thread(gateway->metrics, gateway->workers_count));
    if (!gateway->checker)
        return false;
    gateway->builder.services = (struct service_builder){.endpoints = gateway->endpoints,
                                                         .discovery = gateway->discovery,
                                                         .states = gateway->states,
                                                         .checker = gateway->checker};
    gateway->builder.policies =
        (struct policy_builder){gateway->states,     &gateway->builder.services, threads,
                                response_attributes, request_body_attributes,    response_body_attributes};
    gateway->builder.metrics = gateway->metrics;
    route_book_init(&gateway->builder.routes);
    return true;
}

/* --- stopping --- */

static void check_exit(struct timer *timer);

/* When no worker accepts any more, the sockets refuse: who comes now is told at once instead of waiting for nobody. Not so where a successor or a
 * service manager has the same socket. */
static void close_when_all_drain(struct gateway *gateway)
{
    if (gateway->retiring)
        return;
    for (unsigned i = 0; i < gateway->workers_count; i++)
        if (!atomic_load(&gateway->workers[i].draining))
            return;
    for (size_t i = 0; i < gateway->snapshot->listeners_count; i++)
        if (!gateway->snapshot->sockets[i]->passed)
            (void)shutdown(listener_socket_fd(gateway->snapshot->sockets[i]),
                           SHUT_RDWR); /* once is enough, twice does no harm */
}

static void stop_worker(struct worker *worker)
{
    loop_stop(&worker->loop);
}

static void admin_drained(struct worker *worker)
{
    (void)worker; /* the control thread goes on: it ends when the workers have */
}

static void begin_drain(struct gateway *gateway, int64_t deadline_ms, bool close_idle)
{
    if (!gateway->draining)
        log_info("draining", LOG_INT("milliseconds at most", deadline_ms));
    gateway->draining = true;
    for (unsigned i = 0; i < gateway->workers_count; i++)
        worker_drain(&gateway->workers[i], deadline_ms, close_idle);
    gateway->exit_check.on_due = check_exit;
    timer_set(&gateway->control.loop, &gateway->exit_check, gateway->control.loop.now_ms + EXIT_STEP_MS);
}

/* The first time within the time that the configuration gives, the second time at once. */
static void stop(struct gateway *gateway)
{
    begin_drain(gateway, gateway->told_to_stop ? 0 : gateway->snapshot->settings.drain_ms, true);
    gateway->told_to_stop = true;
}

void gateway_retire(struct gateway *gateway)
{
    int64_t deadline_ms = gateway->snapshot->settings.upgrade_drain_ms;
    if (gateway->draining)
        return;
    gateway->retiring = true;
    begin_drain(gateway, deadline_ms, false);
    if (gateway->admin)
        worker_drain(&gateway->control, deadline_ms, true); /* its successor tells now */
}

/* Workers end their loops when they are empty; then the control thread ends its own. */
static void check_exit(struct timer *timer)
{
    struct gateway *gateway = CONTAINER_OF(timer, struct gateway, exit_check);
    close_when_all_drain(gateway);
    for (unsigned i = 0; i < gateway->workers_count; i++) {
        if (!atomic_load(&gateway->workers[i].finished)) {
            timer_set(&gateway->control.loop, timer, gateway->control.loop.now_ms + EXIT_STEP_MS);
            return;
        }
    }
    loop_stop(&gateway->control.loop);
}

static void supervisor_gone(struct supervisor_link *link)
{
    struct gateway *gateway = CONTAINER_OF(link, struct gateway, supervisor);
    log_warn("the supervisor is gone");
    stop(gateway);
}

static void reopen_logs(struct gateway *gateway)
{
    struct error error;
    if (gateway->snapshot->log && log_file_reopen(gateway->snapshot->log->file, &error) < 0)
        log_error("the access log cannot be opened again", LOG_STRING("reason", error.said));
    else
        log_info("logs opened again");
}

static void on_signal(struct watch *watch, uint32_t events)
{
    struct gateway *gateway = CONTAINER_OF(watch, struct gateway, signals);
    struct signalfd_siginfo info;
    (void)events; /* there is but one kind */
    while (read(watch->fd, &info, sizeof info) == sizeof info) {
        switch (info.ssi_signo) {
        case SIGHUP: gateway_reload(gateway); break;
        case SIGUSR1: reopen_logs(gateway); break;
        case SIGUSR2:
            log_warn("SIGUSR2 does nothing here; an upgrade is the supervisor's: send it there");
            break;
        case SIGTERM:
        case SIGINT: stop(gateway); break;
        case SIGQUIT: begin_drain(gateway, 0, true); break;
        default: break; /* none other is in the set */
        }
    }
}

static bool watch_signals(struct gateway *gateway)
{
    sigset_t set;
    sigemptyset(&set);
    static const int wanted[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGQUIT};
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        sigaddset(&set, wanted[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    gateway->signals = (struct watch){signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), on_signal};
    return gateway->signals.fd >= 0
           && loop_add(&gateway->control.loop, &gateway->signals, EPOLLIN | EPOLLET) == 0;
}

static void files_changed(void *argument)
{
    gateway_reload(argument);
}

/* --- running --- */

static void say_ready(struct gateway *gateway)
{
    gateway->ready = true;
    gateway_write_addresses(gateway);
    supervisor_link_ready(&gateway->supervisor);
    gateway_tell_settings(gateway);
    log_info("ready", LOG_INT("workers", gateway->workers_count),
             LOG_INT("listeners", gateway->snapshot->listeners_count),
             LOG_INT("routes", router_count(gateway->snapshot->router)));
}

/* A gateway with fewer workers than its sockets count on would leave connections unserved. */
static void refuse_to_run(unsigned worker)
{
    log_error("a worker thread cannot be started", LOG_INT("worker", worker));
    _exit(1);
}

/* Names are resolved, and endpoints that wait for their first check are checked, before the first request is taken, as far as that goes in a
 * few seconds. */
static void settle(struct timer *timer)
{
    struct gateway *gateway = CONTAINER_OF(timer, struct gateway, settle);
    struct loop *loop = &gateway->control.loop;
    bool late = loop->now_ns - gateway->began_ns > SETTLE_MS * NS_PER_MS;
    if (!late && !(discovery_settled(gateway->discovery) && health_checker_settled(gateway->checker))) {
        timer_set(loop, timer, loop->now_ms + SETTLE_STEP_MS);
        return;
    }
    if (gateway->is_successor && !gateway_open_admin(gateway))
        _exit(1); /* said in the log */
    for (unsigned i = 0; i < gateway->workers_count; i++)
        if (worker_start(&gateway->workers[i]) < 0)
            refuse_to_run(i);
    say_ready(gateway);
}

static bool start(struct gateway *gateway, struct arena *arena)
{
    struct settings settings;
    struct document document;
    struct error error = {.said = "out of memory"};
    if (!read_settings(gateway, arena, &document, &settings))
        return false;
    log_set_level((enum log_level)settings.log_level);
    log_set_format((enum log_format)settings.log_format);
    if (!prepare_data_dir(gateway, &settings))
        return false;
    if (!make_workers(gateway, &settings) || !make_tables(gateway, &settings, &error)) {
        log_error("cannot start", LOG_STRING("reason", error.said));
        return false;
    }
    log_sink_install(&gateway->control.loop);
    worker_snapshot_unused = gateway_snapshot_unused;
    worker_snapshot_adopted = gateway_snapshot_adopted;
    for (unsigned i = 0; i <= gateway->workers_count; i++)
        gateway->all[i]->on_drained = i < gateway->workers_count ? stop_worker : admin_drained;
    gateway->watcher = watcher_new(&gateway->control.loop, files_changed, gateway, &error);
    if (!gateway->watcher)
        log_warn("`watch` is not available", LOG_STRING("reason", error.said));
    gateway_listen_to_supervisor(gateway);
    if (!watch_signals(gateway) || !gateway_load_first(gateway, &document))
        return false;
    /* A successor keeps quiet until it serves: its predecessor answers that all is well. */
    if (!gateway->is_successor && !gateway_open_admin(gateway))
        return false;
    if (!become_user(gateway, settings.user))
        return false;
    process_limits_core(settings.core_bytes_max);
    if (crash_install(gateway->data_dir, &error) < 0)
        log_warn("crash reports cannot be written", LOG_STRING("reason", error.said));
    if (supervisor_link_watch(&gateway->supervisor, &gateway->control.loop, supervisor_gone) < 0)
        return false;
    if (!(gateway->keeper = certificate_keeper_new(gateway)))
        return false;
    gateway->settle.on_due = settle;
    timer_set(&gateway->control.loop, &gateway->settle, gateway->control.loop.now_ms);
    return true;
}

/* The workers' loops have no threads any more. */
static void turn_all(struct gateway *gateway)
{
    for (unsigned k = 0; k < gateway->workers_count; k++)
        loop_turn(&gateway->workers[k].loop, 0);
    loop_turn(&gateway->control.loop, 0);
}

/* Frees everything, so that a leak checker finds what is really lost. */
static void finish(struct gateway *gateway)
{
    loop_remove(&gateway->control.loop,
                &gateway->signals); /* there is nothing left to stop or to read again */
    close(gateway->signals.fd);
    supervisor_link_unwatch(&gateway->supervisor);
    for (unsigned i = 0; i < gateway->workers_count; i++)
        worker_join(&gateway->workers[i]);
    gateway_stop_timers(gateway);
    certificate_keeper_stop(gateway->keeper);
    gateway_close_admin(gateway);
    watcher_free(gateway->watcher);
    for (unsigned i = 0; i <= gateway->workers_count; i++)
        worker_release_pins(gateway->all[i]);
    if (gateway->snapshot)
        gateway_unpin(gateway->snapshot);
    for (int i = 0; i < 1000 && (gateway->snapshots_alive > 0 || endpoints_next(gateway->endpoints, NULL));
         i++)
        turn_all(gateway);
    thread_pool_free(gateway->threads);
    turn_all(gateway); /* jobs that ran to their end are on their way home */
    gateway_reload_stop(gateway);
    certificate_keeper_free(gateway->keeper);
    endpoints_free(gateway->endpoints);
    discovery_free(gateway->discovery);
    resolver_free(gateway->resolver);
    states_free(gateway->states);
    health_checker_free(gateway->checker);
    log_sink_remove();
    supervisor_link_close(&gateway->supervisor);
    for (unsigned i = 0; i <= gateway->workers_count; i++)
        worker_release(gateway->all[i]);
    metrics_free(gateway->metrics);
}

int gateway_main(const char *config_path, struct supervisor_legacy legacy)
{
    struct arena arena;
    random_init();
    struct gateway *gateway = memory_zero(sizeof *gateway);
    if (!gateway)
        return 1;
    gateway_of_process = gateway;
    gateway->config_path = config_path;
    gateway->is_successor = legacy.is_successor;
    gateway->began_ns = time_monotonic_ns();
    list_init(&gateway->sockets);
    list_init(&gateway->logs);
    arena_init(&arena, 256 * 1024, 0);
    bool fine = supervisor_link_open(&gateway->supervisor, legacy.fd) == 0 && start(gateway, &arena);
    arena_release(&arena);
    memory_trim(); /* a large document leaves a large hole */
    if (!fine)
        return 1; /* what was made ends with the process */
    loop_run(&gateway->control.loop);
    finish(gateway);
    memory_free(gateway);
    return 0;
}
