/* The admin listener's pages. It is served by the same stack as everything else: the control thread is a worker with one listener, whose only
 * route has one policy, and that policy answers from here. So nothing that is asked there slows a proxied request. */
#pragma once

#include "control/gateway_state.h"

struct listing;
struct admin_state {
    struct await operation;
    struct listing *listing; /* of /exchanges, while it goes round the workers */
};

/* A page writes its body; status 200 unless it says otherwise. */
struct page {
    struct exchange *exchange;
    struct gateway *gateway;
    char *at; /* heap, grows */
    size_t size, room;
    bool failed;
    unsigned parts; /* objects written to a list so far */
    unsigned status;
    struct text content_type;
};

void page_put(struct page *page, struct text text);
void page_format(struct page *page, const char *format, ...) __attribute__((format(printf, 2, 3)));
void page_string(struct page *page, struct text text); /* a JSON string with its quotes */

enum { ADMIN_EXCHANGES_MAX = 1000 }; /* listed */

void admin_status(struct page *page);
void admin_list_exchanges(struct page *page, const struct worker *worker); /* on that worker's thread */
enum verdict admin_exchanges(struct exchange *ex, struct admin_state *state);
enum verdict admin_answer(struct exchange *ex, struct page *page); /* takes the page's memory */
void admin_metrics(struct page *page);
void admin_explain(struct page *page);

/* --- admin_health.c --- */

/* Members `endpoints` and `services` of the status page, without a comma around them. */
void admin_put_health(struct page *page);

/* The same for where endpoints come from: `,"sources":[...]`; and how old the answer of one is, where there is one. */
struct source;
void admin_put_sources(struct page *page);
void admin_put_age(struct page *page, const struct source *source);

/* POST /services/NAME/endpoints/ADDRESS/health?state=up|down|auto|drain. False: the path is another. */
bool admin_is_health_path(struct text path);
enum verdict admin_set_health(struct exchange *ex);

/* --- parts of the metrics page --- */
struct prometheus;
void admin_write_gauge(struct prometheus *writer, const char *name, const char *help, uint64_t value);
void admin_write_counter(struct prometheus *writer, const char *name, const char *help, uint64_t value);
void admin_write_tls(struct prometheus *writer, const struct gateway *gateway);
void admin_write_health(struct prometheus *writer, const struct gateway *gateway);
void admin_write_sources(struct prometheus *writer, const struct gateway *gateway);
void admin_write_services(struct prometheus *writer, const struct gateway *gateway);
void admin_write_process(struct prometheus *writer, const struct gateway *gateway);
