/* Health on the admin listener: endpoints and services on the status page, and the endpoint's state set by hand. */
#include "base/check.h"
#include "control/admin.h"
#include "proxy/driver.h"
#include "upstream/discover.h"
#include "upstream/health_checker.h"

static const char *const hand_names[] = {
    [HAND_AUTO] = "auto", [HAND_UP] = "up", [HAND_DOWN] = "down", [HAND_DRAIN] = "drain"};

/* --- the status page --- */

static void put_check(struct page *page, const struct endpoint *endpoint, int64_t now_ms)
{
    struct health_check_result result;
    health_check_result(endpoint, &result);
    if (!result.checked)
        return;
    page_format(
        page,
        ",\"check\":{\"healthy\":%s,\"last\":\"%s\",\"in_a_row\":%u,\"passed\":%llu,\"failed\":%llu,\"ms_ago\":%lld",
        atomic_load(&endpoint->checked) == CHECKED_UP ? "true" : "false",
        result.last_passed ? "passed" : "failed", result.in_a_row, (unsigned long long)result.passed,
        (unsigned long long)result.failed, (long long)(now_ms - result.at_ms));
    if (result.said.size) {
        page_put(page, TEXT(",\"last_failure\":"));
        page_string(page, result.said);
    }
    page_put(page, TEXT("}"));
}

static void put_breaker(struct page *page, const struct breaker *breaker, int64_t now_ms)
{
    char reason[128];
    page_format(page, ",\"breaker\":{\"state\":\"%s\",\"openings\":%llu,\"refused\":%llu,\"ms_left\":%lld",
                breaker_state_name(breaker_state(breaker, now_ms)),
                (unsigned long long)atomic_load(&breaker->openings),
                (unsigned long long)atomic_load(&breaker->refused),
                (long long)breaker_wait_ms(breaker, now_ms));
    if (atomic_load(&breaker->openings)) {
        page_put(page, TEXT(",\"last_reason\":"));
        page_string(page, breaker_reason(breaker, reason));
    }
    page_put(page, TEXT("}"));
}

static void put_ejection(struct page *page, const struct endpoint *endpoint, int64_t now_ms)
{
    char reason[128];
    if (!endpoint_is_ejected(endpoint, now_ms))
        return;
    page_format(page, ",\"ejection\":{\"ms_left\":%lld,\"reason\":",
                (long long)(atomic_load(&endpoint->passive.ejected_until_ms) - now_ms));
    page_string(page, passive_reason(&endpoint->passive, reason));
    page_put(page, TEXT("}"));
}

static void put_endpoint(struct page *page, const struct endpoint *endpoint, const char *before)
{
    int64_t now_ms = page->gateway->control.loop.now_ms;
    const struct endpoint_role *role = &endpoint->role;
    const struct service *service = health_service_of(endpoint);
    page_put(page, text_of(before));
    page_put(page, TEXT("{\"service\":"));
    page_string(page, endpoint->service);
    page_put(page, TEXT(",\"url\":"));
    page_string(page, endpoint->url);
    page_format(
        page,
        ",\"state\":\"%s\",\"by_hand\":\"%s\",\"in_flight\":%d,\"requests\":%llu,\"failed\":%llu,\"ejections\":%llu",
        endpoint_condition_name(endpoint_condition(service, endpoint, now_ms)),
        hand_names[atomic_load(&endpoint->hand)], atomic_load(&endpoint->in_flight),
        (unsigned long long)atomic_load(&endpoint->requests),
        (unsigned long long)atomic_load(&endpoint->failed),
        (unsigned long long)atomic_load(&endpoint->passive.ejections));
    page_format(page,
                ",\"weight\":%u,\"priority\":%u,\"srv_priority\":%u,\"drain\":%s,\"zone\":", role->weight,
                role->priority, role->srv_priority, role->drain ? "true" : "false");
    page_string(page, text_of(role->zone));
    page_put(page, TEXT(",\"host\":"));
    page_string(page, endpoint->host);
    page_put(page, TEXT(",\"source\":"));
    page_string(page, endpoint->source);
    admin_put_age(page, discovery_find(page->gateway->discovery, endpoint->source));
    put_check(page, endpoint, now_ms);
    put_ejection(page, endpoint, now_ms);
    if (service && service->endpoint_breaker.window_ms)
        put_breaker(page, &endpoint->breaker, now_ms);
    page_put(page, TEXT("}"));
}

static void put_service(struct page *page, const struct service_health *health, const char *before)
{
    const struct service *service = service_health_service(health);
    int64_t now_ms = page->gateway->control.loop.now_ms;
    page_put(page, text_of(before));
    page_put(page, TEXT("{\"name\":"));
    page_string(page, health->name);
    page_format(page, ",\"endpoints\":%u,\"usable\":%u,\"panic\":%s", service_set(service)->count,
                service_usable_count(service, now_ms),
                service_panic(service, now_ms) == PANIC_NONE ? "false" : "true");
    if (service->breaker.window_ms)
        put_breaker(page, &health->breaker, now_ms);
    page_put(page, TEXT("}"));
}

void admin_put_health(struct page *page)
{
    const struct gateway *gateway = page->gateway;
    const char *before = "";
    page_put(page, TEXT("\"endpoints\":["));
    for (const struct endpoint *at = NULL; (at = endpoints_next(gateway->endpoints, at)); before = ",")
        put_endpoint(page, at, before);
    page_put(page, TEXT("],\"services\":["));
    before = "";
    for (const struct service_health *at = NULL; (at = health_checker_next(gateway->checker, at));
         before = ",")
        put_service(page, at, before);
    page_put(page, TEXT("]"));
}

/* --- set by hand --- */

bool admin_is_health_path(struct text path)
{
    return text_starts_with(path, TEXT("/services/")) && text_ends_with(path, TEXT("/health"))
           && text_find(path, TEXT("/endpoints/")) != TEXT_NONE;
}

/* The endpoint's URL; or without its scheme, or with one slash after it, which is what merging slashes leaves. */
static bool is_address(const struct endpoint *endpoint, struct text address)
{
    struct text url = endpoint->url;
    size_t slashes = text_find(url, TEXT("://")), merged = text_find(address, TEXT(":/"));
    if (text_equal(url, address))
        return true;
    if (slashes == TEXT_NONE)
        return false;
    if (merged != TEXT_NONE && text_equal(text_slice(address, 0, merged), text_slice(url, 0, slashes)))
        address = text_slice(address, merged + 2, address.size);
    url = text_slice(url, slashes + 3, url.size);
    if (text_ends_with(url, TEXT("/")))
        url = text_slice(url, 0, url.size - 1);
    return text_equal(url, address);
}

/* The endpoint that the path names; NULL: none. */
static struct endpoint *find_endpoint(struct gateway *gateway, struct exchange *ex)
{
    struct text path = ex->request.path, first = TEXT("/services/"), middle = TEXT("/endpoints/");
    size_t at = text_find(path, middle);
    struct text service = uri_decode(text_slice(path, first.size, at), false, &ex->arena);
    struct text address = uri_decode(text_slice(path, at + middle.size, path.size - 7), false, &ex->arena);
    for (const struct service_health *health = NULL;
         (health = health_checker_next(gateway->checker, health));) {
        const struct service *of = service_health_service(health);
        const struct endpoint_set *set = service_set(of);
        for (uint32_t i = 0; text_equal(of->name, service) && i < set->count; i++)
            if (is_address(set->endpoints[i].endpoint, address))
                return set->endpoints[i].endpoint;
    }
    return NULL;
}

/* A page of another site may make a browser send a POST, but not hide where it comes from. */
static bool is_foreign(struct exchange *ex)
{
    struct text origin = fields_get(&ex->request.fields, TEXT("Origin"));
    if (!origin.at)
        return false;
    struct text own = arena_format(&ex->arena, "http://%.*s", TEXT_ARGS(ex->request.authority));
    return !text_equal(origin, own);
}

static int hand_of(struct exchange *ex)
{
    struct text query = ex->request.query.at ? ex->request.query : TEXT("");
    struct text state = uri_query_get(query, TEXT("state"), &ex->arena);
    for (int i = 0; i < (int)COUNT_OF(hand_names); i++)
        if (state.at && text_equal(state, text_of(hand_names[i])))
            return i;
    return -1;
}

enum verdict admin_set_health(struct exchange *ex)
{
    struct gateway *gateway = gateway_of_process;
    struct page page = {
        .exchange = ex, .gateway = gateway, .status = 200, .content_type = TEXT("application/json")};
    if (ex->request.method != METHOD_POST) {
        exchange_respond_problem(ex, 405, TEXT("Only POST is allowed here."));
        fields_add(&ex->response.fields, TEXT("Allow"), TEXT("POST"));
        return VERDICT_RESPOND;
    }
    if (is_foreign(ex))
        return exchange_respond_problem(ex, 403,
                                        TEXT("Pages of other origins may not change anything here."));
    struct endpoint *endpoint = find_endpoint(gateway, ex);
    int hand = hand_of(ex);
    if (!endpoint)
        return exchange_respond_problem(ex, 404, TEXT("There is no such endpoint; /status lists them."));
    if (hand < 0)
        return exchange_respond_problem(ex, 400, TEXT("Say ?state=up, down, auto or drain."));
    health_set_by_hand(gateway->checker, endpoint, (enum hand)hand);
    put_endpoint(&page, endpoint, "");
    page_put(&page, TEXT("\n"));
    return admin_answer(ex, &page);
}
