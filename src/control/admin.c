/* Opens the admin listener and answers what is asked there. */
#include "control/admin.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "proxy/build.h"
#include "proxy/connection.h"
#include "proxy/driver.h"

enum { PAGE_MAX = 64 << 20 };

/* --- writing --- */

static bool make_room(struct page *page, size_t size)
{
    if (page->failed || size > PAGE_MAX - page->size)
        return !(page->failed = true);
    if (page->size + size <= page->room)
        return true;
    size_t room = MAX_OF(page->room * 2, page->size + size + 1024);
    char *larger = memory_resize(page->at, room);
    if (!larger)
        return !(page->failed = true);
    page->at = larger;
    page->room = room;
    return true;
}

void page_put(struct page *page, struct text text)
{
    if (!make_room(page, text.size))
        return;
    if (text.size)
        memcpy(page->at + page->size, text.at, text.size);
    page->size += text.size;
}

void page_format(struct page *page, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    page_put(page, (struct text){line, MIN_OF((size_t)MAX_OF(size, 0), sizeof line - 1)});
}

void page_string(struct page *page, struct text text)
{
    page_put(page, TEXT("\""));
    if (make_room(page, text.size * 6))
        page->size += log_escape_json(text, page->at + page->size, text.size * 6);
    page_put(page, TEXT("\""));
}

/* --- pages --- */

static void healthz(struct page *page)
{
    page->content_type = TEXT("text/plain; charset=utf-8");
    page_put(page, TEXT("ok\n"));
}

static void readyz(struct page *page)
{
    bool ready = page->gateway->ready && !page->gateway->draining;
    page->content_type = TEXT("text/plain; charset=utf-8");
    page->status = ready ? 200 : 503;
    page_put(page, ready                     ? TEXT("ready\n")
                   : page->gateway->draining ? TEXT("draining\n")
                                             : TEXT("starting\n"));
}

static void index_page(struct page *page);

static const struct {
    struct text path;
    void (*write)(struct page *page); /* NULL: /exchanges, which waits for the workers */
    struct text about;
} pages[] = {
    {TEXT_INIT("/"), index_page, TEXT_INIT("this list")},
    {TEXT_INIT("/healthz"), healthz, TEXT_INIT("200 while the process runs")},
    {TEXT_INIT("/readyz"), readyz,
     TEXT_INIT("200 while requests are taken, 503 while starting and draining")},
    {TEXT_INIT("/metrics"), admin_metrics, TEXT_INIT("Prometheus text, or OpenMetrics")},
    {TEXT_INIT("/status"), admin_status, TEXT_INIT("version, configuration, workers, listeners, services")},
    {TEXT_INIT("/exchanges"), NULL, TEXT_INIT("what is under way, and what each waits for")},
    {TEXT_INIT("/explain"), admin_explain,
     TEXT_INIT("?method=GET&url=http://host/path: which route, which policies, and why")},
};

static void index_page(struct page *page)
{
    page->content_type = TEXT("text/plain; charset=utf-8");
    for (size_t i = 0; i < COUNT_OF(pages); i++)
        page_format(page, "%-12s %s\n", pages[i].path.at, pages[i].about.at);
    page_put(page, TEXT("POST /services/NAME/endpoints/ADDRESS/health?state=up|down|auto|drain\n"));
}

/* --- the policy that answers --- */

static bool is_host_of(struct text address, struct text host)
{
    return host.size > 0 && text_starts_with(address, host)
           && (address.size == host.size || address.at[host.size] == ':');
}

static bool is_local_name(struct exchange *ex)
{
    struct text host = ex->request.host;
    struct ip ip;
    const struct listener_config *config = ex->connection->listener->config;
    if (host.size > 2 && host.at[0] == '[')
        host = text_slice(host, 1, host.size - 1);
    return ip_parse(host, &ip) || text_equal(host, TEXT("localhost"))
           || text_ends_with(host, TEXT(".localhost")) || is_host_of(config->address, host);
}

static void free_page(void *at)
{
    memory_free(at);
}

enum verdict admin_answer(struct exchange *ex, struct page *page)
{
    if (page->failed || (page->at && !arena_defer(&ex->arena, free_page, page->at))) {
        memory_free(page->at);
        return exchange_respond_problem(ex, 500, TEXT("The page is too large, or memory is used up."));
    }
    exchange_respond(ex, page->status, page->content_type, (struct text){page->at, page->size});
    fields_add_known(&ex->response.fields, NAME_CACHE_CONTROL, TEXT("no-store"));
    return VERDICT_RESPOND;
}

static enum verdict answer(struct exchange *ex, void (*write)(struct page *page), struct admin_state *state)
{
    struct page page = {.exchange = ex,
                        .gateway = gateway_of_process,
                        .status = 200,
                        .content_type = TEXT("application/json")};
    if (!write)
        return admin_exchanges(ex, state);
    write(&page);
    return admin_answer(ex, &page);
}

/* A browser can be made to call any address under a name of the attacker's (DNS rebinding): only names of this machine are answered. */
static enum verdict admin_request(struct exchange *ex, const void *config, void *state)
{
    (void)config;
    if (!is_local_name(ex))
        return exchange_respond_problem(ex, 421, TEXT("Ask by the listener's address or as localhost."));
    if (admin_is_health_path(ex->request.path))
        return admin_set_health(ex);
    for (size_t i = 0; i < COUNT_OF(pages); i++) {
        if (!text_equal(pages[i].path, ex->request.path))
            continue;
        if (ex->request.method == METHOD_GET || ex->request.method == METHOD_HEAD)
            return answer(ex, pages[i].write, state);
        exchange_respond_problem(ex, 405, TEXT("Only GET is allowed here."));
        fields_add(&ex->response.fields, TEXT("Allow"), TEXT("GET, HEAD"));
        return VERDICT_RESPOND;
    }
    return exchange_respond_problem(ex, 404, TEXT("There is no such page; / lists them."));
}

static const struct field no_fields[] = {FIELD_END};
static const struct policy policy_admin = {
    .name = "admin",
    .summary = "Answers on the admin listener.",
    .fields = no_fields,
    .state_size = sizeof(struct admin_state),
    .on_request = admin_request,
};

/* --- opening --- */

static const struct policy_set *admin_policies(struct arena *arena)
{
    struct policy_set *set = ARENA_NEW(arena, struct policy_set);
    struct policy_instance *instance = ARENA_NEW(arena, struct policy_instance);
    if (!set || !instance)
        return NULL;
    *instance = (struct policy_instance){
        .policy = &policy_admin, .index = POLICIES_MAX - 1, .id = TEXT("admin"), .scope = TEXT("admin")};
    *set = (struct policy_set){instance, 1};
    return set;
}

static bool build_admin(struct gateway *gateway, struct snapshot *snapshot, struct report *report)
{
    struct document document;
    const struct settings *settings = &gateway->snapshot->settings;
    struct binder binder = {.arena = &snapshot->arena,
                            .report = report,
                            .environment = &exchange_environment,
                            .path = TEXT("admin")};
    struct text yaml =
        arena_format(&snapshot->arena, "{address: \"%.*s\", limits: {connections: 100}, forwarded: \"off\"}",
                     TEXT_ARGS(settings->admin_address));
    if (!document_parse(yaml, TEXT("admin"), NULL, &snapshot->arena, report, &document))
        return false;
    snapshot->listeners = arena_array(&snapshot->arena, 1, sizeof *snapshot->listeners);
    struct listener_config *listener =
        listener_build(&gateway->builder, &binder, TEXT("admin"), &document.root);
    const struct policy_set *set = admin_policies(&snapshot->arena);
    if (!snapshot->listeners || !listener || !set)
        return false;
    snapshot->listeners[0] = listener;
    snapshot->listeners_count = 1;
    snapshot->router = router_new();
    snapshot->fallback = route_fallback(&gateway->builder, &snapshot->arena, set);
    return snapshot->router && snapshot->fallback;
}

bool gateway_open_admin(struct gateway *gateway)
{
    if (gateway->snapshot->settings.admin_address.size == 0)
        return true;
    struct arena arena;
    struct report report;
    arena_init(&arena, 0, 0);
    report_init(&report, &arena);
    struct snapshot *snapshot = memory_zero(sizeof *snapshot);
    bool fine = snapshot != NULL;
    if (fine)
        arena_init(&snapshot->arena, 0, 0);
    fine =
        fine && build_admin(gateway, snapshot, &report) && gateway_open_sockets(gateway, snapshot, &report);
    fine = fine
           && (gateway->control.metrics = metrics_apart(gateway->metrics))
                  != NULL; /* what is asked here is not traffic */
    if (fine) {
        gateway->admin = snapshot;
        gateway->snapshots_alive++;
        atomic_store(&snapshot->pins, 2);
        fine = worker_adopt(&gateway->control, snapshot, NULL);
    }
    if (!fine)
        report_print(&report, stderr);
    arena_release(&arena);
    return fine;
}

/* Its connections are closed, answered or not: the process ends. */
void gateway_close_admin(struct gateway *gateway)
{
    if (!gateway->admin)
        return;
    worker_drain(&gateway->control, 0, true);
    for (int i = 0; i < 1000 && !gateway->control.drained_posted; i++)
        loop_turn(&gateway->control.loop, 10);
    gateway_unpin(gateway->admin);
    gateway->admin = NULL;
}
