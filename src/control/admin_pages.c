/* The status and exchanges pages. */
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/time.h"
#include "control/admin.h"
#include "proxy/chain.h"
#include "proxy/connection.h"
#include "proxy/driver.h"
#include "proxy/listener_state.h"

static double ms(int64_t ns)
{
    return (double)ns / (double)NS_PER_MS;
}

static void put_config(struct page *page)
{
    const struct gateway *gateway = page->gateway;
    const struct snapshot *snapshot = gateway->snapshot;
    char when[TIME_ISO_SIZE];
    time_write_iso(gateway->reload_ns, when);
    page_put(page, TEXT("\"config\":{\"file\":"));
    page_string(page, text_of(gateway->config_path));
    page_format(page,
                ",\"version\":%llu,\"applied\":\"%.*s\",\"reloads\":%llu,\"failures\":%llu,\"last_failure\":",
                (unsigned long long)gateway->applied_version, (int)sizeof when, when,
                (unsigned long long)gateway->reloads, (unsigned long long)gateway->failures);
    page_string(page, text_of(gateway->last_failure));
    page_format(
        page,
        ",\"snapshots\":%u,\"objects_built\":%lld,\"objects_shared\":%lld,\"read_ms\":%.3f,\"compare_ms\":%.3f,\"apply_ms\":%.3f,\"routes\":%zu,\"services\":%zu,\"consumers\":%zu}",
        gateway->snapshots_alive - (gateway->admin != NULL), (long long)snapshot->objects_built,
        (long long)snapshot->objects_shared, ms(gateway->read_ns), ms(snapshot->compared_ns),
        ms(gateway->apply_ns), snapshot->routes_count, snapshot->services.count,
        consumer_set_count(snapshot->consumers));
}

/* One "PID STATE VERSION SINCE_MS CONNECTIONS" of the supervisor's list. */
static void put_process(struct page *page, struct text record, const char *before)
{
    char since[TIME_ISO_SIZE];
    int64_t since_ms = 0, connections = -1;
    struct text pid = text_split(&record, ' '), state = record.at ? text_split(&record, ' ') : TEXT(""),
                version = record.at ? text_split(&record, ' ') : TEXT("");
    (void)text_to_int64(record.at ? text_split(&record, ' ') : TEXT(""),
                        &since_ms); /* 0 and -1 say unknown */
    (void)text_to_int64(record.at ? text_split(&record, ' ') : TEXT(""), &connections);
    if (text_equal(state, TEXT("serving")))
        connections = gateway_connections(page->gateway);
    time_write_iso(since_ms * NS_PER_MS, since);
    page_format(page, "%s{\"pid\":%.*s,\"state\":", before, TEXT_ARGS(pid));
    page_string(page, state);
    page_put(page, TEXT(",\"version\":"));
    page_string(page, version);
    page_format(page, ",\"since\":\"%.*s\",\"connections\":", (int)sizeof since, since);
    if (connections >= 0)
        page_format(page, "%lld}", (long long)connections);
    else
        page_put(page, TEXT("null}"));
}

/* Without a supervisor there is no list. */
static void put_processes(struct page *page)
{
    const struct gateway *gateway = page->gateway;
    struct text rest = text_of(gateway->processes);
    const char *before = "";
    page_put(page, TEXT("\"processes\":["));
    for (; rest.at && rest.size > 0; before = ",")
        put_process(page, text_split(&rest, ';'), before);
    page_format(page, "],\"upgrades\":{\"done\":%llu,\"failed\":%llu,\"last_failure\":",
                (unsigned long long)gateway->upgrades_done, (unsigned long long)gateway->upgrades_failed);
    page_string(page, text_of(gateway->upgrade_failure));
    page_put(page, TEXT("},"));
}

void admin_status(struct page *page)
{
    const struct gateway *gateway = page->gateway;
    page_format(page, "{\"version\":\"%s\",\"pid\":%d,\"uptime_s\":%lld,\"state\":\"%s\",\"workers\":%u,",
                TURNPIKE_VERSION, (int)getpid(),
                (long long)((gateway->control.loop.now_ns - gateway->began_ns) / NS_PER_SECOND),
                gateway->draining ? "draining"
                : gateway->ready  ? "ready"
                                  : "starting",
                gateway->workers_count);
    put_processes(page);
    put_config(page);
    page_put(page, TEXT(",\"listeners\":["));
    for (size_t i = 0; i < gateway->snapshot->listeners_count; i++) {
        char address[ADDRESS_TEXT_SIZE];
        const struct listener_config *config = gateway->snapshot->listeners[i];
        size_t size = address_write(&gateway->snapshot->sockets[i]->actual, address);
        page_put(page, i ? TEXT(",{\"name\":") : TEXT("{\"name\":"));
        page_string(page, config->name);
        page_put(page, TEXT(",\"address\":"));
        page_string(page, (struct text){address, size});
        page_format(page, ",\"connections\":%d}", atomic_load(&config->state->connections));
    }
    page_put(page, TEXT("],"));
    admin_put_health(page);
    admin_put_sources(page);
    page_put(page, TEXT("}\n"));
}

/* --- exchanges: a listing goes round the workers by mail, each writes its own part, while the asking exchange waits --- */

static void put_exchange(struct page *page, const struct exchange *ex)
{
    const struct policy_instance *policy = ex->waiting.operation ? chain_current(ex) : NULL;
    page_format(page, "%s{\"id\":%llu,\"method\":", page->parts++ ? "," : "", (unsigned long long)ex->id);
    page_string(page, ex->request.method_text);
    page_put(page, TEXT(",\"host\":"));
    page_string(page, ex->request.authority);
    page_put(page, TEXT(",\"path\":"));
    page_string(page, ex->request.path);
    page_put(page, TEXT(",\"client\":"));
    page_string(page, ex->client_ip);
    page_put(page, TEXT(",\"route\":"));
    page_string(page, ex->route ? ex->route->name : TEXT(""));
    page_put(page, TEXT(",\"service\":"));
    page_string(page, ex->service ? ex->service->name : TEXT(""));
    page_put(page, TEXT(",\"endpoint\":"));
    page_string(page, ex->endpoint_url);
    page_format(page, ",\"worker\":%u,\"age_ms\":%lld,\"step\":\"%s\",\"waiting_for\":\"%s\",\"policy\":",
                ex->worker->index, (long long)((ex->loop->now_ns - ex->began_ns) / NS_PER_MS),
                exchange_step_name(ex), exchange_waiting_for(ex));
    page_string(page, policy ? policy->id : TEXT(""));
    page_put(page, TEXT("}"));
}

void admin_list_exchanges(struct page *page, const struct worker *worker)
{
    LIST_EACH (link, &worker->exchanges) {
        if (page->parts >= ADMIN_EXCHANGES_MAX)
            return;
        put_exchange(page, CONTAINER_OF(link, const struct exchange, link));
    }
}

struct listing {
    struct task task;
    struct await *operation; /* NULL: the exchange that asked is gone */
    unsigned at;             /* the worker that has it */
    struct page page;
};

static void free_listing(struct listing *listing)
{
    memory_free(listing->page.at);
    memory_free(listing);
}

static void go_on(struct listing *listing);

static void came_back(struct task *task)
{
    struct listing *listing = CONTAINER_OF(task, struct listing, task);
    listing->at++;
    go_on(listing);
}

static void visit(struct task *task)
{
    struct listing *listing = CONTAINER_OF(task, struct listing, task);
    admin_list_exchanges(&listing->page, &listing->page.gateway->workers[listing->at]);
    listing->task.run = came_back;
    loop_mail(&listing->page.gateway->control.loop, &listing->task);
}

static void go_on(struct listing *listing)
{
    struct gateway *gateway = listing->page.gateway;
    if (listing->at < gateway->workers_count && listing->operation) {
        listing->task.run = visit;
        loop_mail(&gateway->workers[listing->at].loop, &listing->task);
    } else if (listing->operation) {
        chain_ready(listing->operation, AWAIT_DONE, NULL);
    } else {
        free_listing(listing);
    }
}

static void cancel_listing(struct await *operation)
{
    struct admin_state *state = CONTAINER_OF(operation, struct admin_state, operation);
    state->listing->operation = NULL;
    state->listing = NULL;
}

static enum verdict listed(struct exchange *ex, const void *config, void *state_)
{
    struct admin_state *state = state_;
    (void)config;
    if (!state->listing)
        return exchange_respond_problem(ex, 504, TEXT("A worker did not answer in time."));
    page_put(&state->listing->page, TEXT("]}\n"));
    enum verdict verdict = admin_answer(ex, &state->listing->page);
    memory_free(state->listing);
    state->listing = NULL;
    return verdict;
}

enum verdict admin_exchanges(struct exchange *ex, struct admin_state *state)
{
    struct listing *listing = memory_zero(sizeof *listing);
    if (!listing)
        return VERDICT_FAULT;
    state->listing = listing;
    state->operation = (struct await){.status = AWAIT_PENDING, .cancel = cancel_listing, .exchange = ex};
    listing->operation = &state->operation;
    listing->page =
        (struct page){.gateway = gateway_of_process, .status = 200, .content_type = TEXT("application/json")};
    page_put(&listing->page, TEXT("{\"exchanges\":["));
    enum verdict verdict = chain_wait(ex, &state->operation, "workers", 2000, STEP(listed));
    go_on(listing);
    return verdict;
}
