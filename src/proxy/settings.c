/* Settings of the node. */
#include "proxy/settings.h"

#include <unistd.h>

#include "base/check.h"
#include "proxy/attributes.h"
#include "proxy/record.h"

static bool bind_workers(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    uint64_t count;
    (void)field;
    if (node->kind == NODE_SCALAR && text_equal(node->text, TEXT("auto"))) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        *(int64_t *)at = MAX_OF(1, MIN_OF((int64_t)cores, (int64_t)WORKERS_MAX));
        return true;
    }
    if (node->kind != NODE_SCALAR || !text_to_uint64(node->text, &count) || count < 1 || count > WORKERS_MAX)
        return bind_error(binder, node, NULL, "wants `auto` or a number from 1 to %d", WORKERS_MAX);
    *(int64_t *)at = (int64_t)count;
    return true;
}

static const char *const level_choices[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_format_choices[] = {"text", "json", NULL};
static const char *const access_format_choices[] = {"json", "combined", "template", NULL};

static const struct field log_fields[] = {
    FIELD_CHOICE(struct settings, log_level, "level", "info", level_choices,
                 "Least severe level that is written."),
    FIELD_CHOICE(struct settings, log_format, "format", "text", log_format_choices,
                 "How lines are written to standard error."),
    FIELD_END,
};

static const struct field access_log_fields[] = {
    FIELD_TEXT(struct settings, access_log_path, "path", REQUIRED,
               "File to append to (opened anew on SIGUSR1), `stdout`, `stderr` or `unix-datagram:/PATH`."),
    FIELD_CHOICE(
        struct settings, access_log_format, "format", "json", access_format_choices,
        "`json`: an object a line; `combined`: as web servers write it; `template`: what `template` makes."),
    FIELD_TEMPLATE(
        struct settings, access_log_template, "template", OPTIONAL,
        "For format `template`: text with `${...}` expressions. Values are escaped as in JSON strings."),
    FIELD_END,
};

static const struct field admin_fields[] = {
    FIELD_TEXT(
        struct settings, admin_address, "address", REQUIRED,
        "Address of the admin listener: /healthz, /readyz, /metrics, /status, /exchanges, /explain. Keep it private."),
    FIELD_END,
};

static const struct field buffers_fields[] = {
    FIELD_SIZE(struct settings, buffers_bytes_max, "memory", "1GiB", 1 << 20, INT64_MAX,
               "Memory for I/O buffers, all workers together."),
    FIELD_END,
};

static const struct field upgrade_fields[] = {
    FIELD_DURATION(struct settings, upgrade_ready_ms, "ready_timeout", "60s", 100, 86400000,
                   "How long the new gateway process may take to get ready; then the old one goes on."),
    FIELD_DURATION(
        struct settings, upgrade_drain_ms, "drain_timeout", "10m", 0, 604800000,
        "How long connections that the old gateway process has may still last, upgraded ones and idle ones too."),
    FIELD_END,
};

static const struct field dns_fields[] = {
    FIELD_TEXT(
        struct settings, dns_servers, "servers", OPTIONAL,
        "Name servers, `ADDRESS:PORT` separated by commas; the system's unless given. A change needs a restart, as of the next three."),
    FIELD_DURATION(struct settings, dns_timeout_ms, "timeout", "2s", 10, 60000,
                   "How long a server has to answer; doubled with each round of tries."),
    FIELD_INTEGER(struct settings, dns_tries, "tries", "3", 1, 10, "How often each server is asked."),
    FIELD_BOOL(
        struct settings, dns_search, "search", "false",
        "Apply the search domains of the system's settings to names without a final dot; else all names are absolute."),
    FIELD_DURATION(struct settings, discovery.ttl_min_ms, "ttl_min", "1s", 10, 86400000,
                   "Shortest time until a name is asked for again, whatever its answer says."),
    FIELD_DURATION(struct settings, discovery.ttl_max_ms, "ttl_max", "5m", 10, 86400000,
                   "Longest time until a name is asked for again, whatever its answer says."),
    FIELD_DURATION(
        struct settings, discovery.negative_ms, "negative_ttl", "10s", 10, 86400000,
        "Longest time until a name is asked for again that was not found, or could not be; the first times are shorter."),
    FIELD_DURATION(
        struct settings, discovery.hold_ms, "hold", "0", 0, 86400000,
        "How long an address is kept after it was last in an answer, for names that answer with some of their addresses."),
    FIELD_DURATION(struct settings, discovery.file_ms, "file_interval", "1s", 10, 3600000,
                   "How often `endpoints_file` of services is looked at."),
    FIELD_END,
};

static const struct field health_checks_fields[] = {
    FIELD_INTEGER(struct settings, health_checks_at_once, "at_once", "100", 1, 10000,
                  "So many health checks of endpoints may run at the same time; others wait for their turn."),
    FIELD_END,
};

static const struct field metrics_fields[] = {
    FIELD_INTEGER(struct settings, series_max, "series", "10000", 0, 1000000,
                  "Most routes that have metrics of their own; further ones share the series `_overflow`."),
    FIELD_END,
};

/* The nested tables above fill the same struct: their offsets are taken from its start. */
#define GROUP(name_, fields_, default_, about_)                                                              \
    {                                                                                                        \
        .name = (name_), .kind = FIELD_KIND_STRUCT, .offset = offsetof(struct settings_config, settings),    \
        .size = sizeof(struct settings), .default_value = (default_), .fields = (fields_), .about = (about_) \
    }

#define NODE(member_, default_, schema_, about_)                                                             \
    {                                                                                                        \
        .name = #member_, .kind = FIELD_KIND_NODE, .offset = offsetof(struct settings_config, member_),      \
        .size = sizeof(const struct node *), .default_value = (default_), .schema = (schema_),               \
        .about = (about_)                                                                                    \
    }

const struct field settings_fields[] = {
    FIELD_CUSTOM(struct settings_config, settings.workers, "workers", "auto", bind_workers,
                 "{\"oneOf\":[{\"const\":\"auto\"},{\"type\":\"integer\",\"minimum\":1,\"maximum\":64}]}",
                 "Worker threads; `auto` is one for each core. A change needs a restart."),
    FIELD_TEXT(
        struct settings_config, settings.data_dir, "data_dir", OPTIONAL,
        "Directory for what must survive a restart, and for crash reports; made if it is missing. Unless given: `/var/lib/turnpike` for root, else `turnpike` in `$XDG_STATE_HOME` or `~/.local/state`."),
    FIELD_TEXT(struct settings_config, settings.zone, "zone", OPTIONAL,
               "Where this node is, such as a data centre: for services with `balance.zones`."),
    FIELD_TEXT(struct settings_config, settings.user, "user", OPTIONAL,
               "User that the gateway process becomes once its sockets are bound; needs root to begin with."),
    FIELD_BOOL(struct settings_config, settings.watch, "watch", "false",
               "Reload when this file, or one that it includes, changes."),
    FIELD_DURATION(struct settings_config, settings.drain_ms, "drain_timeout", "30s", 0, 86400000,
                   "How long exchanges may still run after SIGTERM."),
    FIELD_SIZE(
        struct settings_config, settings.core_bytes_max, "core_limit", "0", 0, INT64_MAX,
        "Size of a core file after a crash; 0 leaves none. A core holds keys, tokens and what clients sent: keep it where only you can read it. A change needs a restart."),
    GROUP("upgrade", upgrade_fields, "{}", "Another version of the program takes over, on SIGUSR2."),
    GROUP("log", log_fields, "{}", "The program's own log, on standard error."),
    GROUP("access_log", access_log_fields, OPTIONAL, "A line for each exchange."),
    GROUP("admin", admin_fields, OPTIONAL, "The admin listener; absent: none."),
    GROUP("buffers", buffers_fields, "{}", "Memory for connections at work."),
    GROUP("dns", dns_fields, "{}", "How endpoints are found by name or file."),
    GROUP("health_checks", health_checks_fields, "{}", "Active checks of endpoints, all services together."),
    GROUP("metrics", metrics_fields, "{}", "What is measured."),
    NODE(
        include, OPTIONAL, "{\"type\":[\"array\",\"string\",\"null\"],\"items\":{\"type\":\"string\"}}",
        "Further files, as a list of patterns relative to this one, such as `conf.d/*.yaml`. They hold objects only."),
    NODE(listeners, REQUIRED,
         "{\"type\":\"object\",\"additionalProperties\":{\"$ref\":\"#/$defs/listeners\"}}",
         "Where clients connect, by name."),
    NODE(certificates, OPTIONAL,
         "{\"type\":[\"object\",\"null\"],\"additionalProperties\":{\"$ref\":\"#/$defs/certificates\"}}",
         "Certificates and their keys, by name."),
    NODE(services, OPTIONAL,
         "{\"type\":[\"object\",\"null\"],\"additionalProperties\":{\"$ref\":\"#/$defs/services\"}}",
         "Backends, by name."),
    NODE(routes, OPTIONAL,
         "{\"type\":[\"object\",\"null\"],\"additionalProperties\":{\"$ref\":\"#/$defs/routes\"}}",
         "Which requests go where, by name."),
    NODE(consumers, OPTIONAL,
         "{\"type\":[\"object\",\"null\"],\"additionalProperties\":{\"$ref\":\"#/$defs/consumers\"}}",
         "Who calls, by name."),
    NODE(groups, OPTIONAL,
         "{\"type\":[\"object\",\"null\"],\"additionalProperties\":{\"$ref\":\"#/$defs/groups\"}}",
         "Policies for consumers of a group, by name."),
    NODE(policies, OPTIONAL, "{\"$ref\":\"#/$defs/policies\"}", "Policies for all requests."),
    FIELD_CHOICE(struct settings_config, order, "order", "stages", order_choices,
                 "`written` runs `policies` exactly in their order."),
    FIELD_END,
};

bool settings_bind(struct binder *binder, const struct node *root, struct settings_config *ret_config)
{
    *ret_config = (struct settings_config){0};
    struct expr_watch bodies[] = {
        {.ids = request_body_attributes.ids, .count = request_body_attributes.count},
        {.ids = response_body_attributes.ids, .count = response_body_attributes.count},
    };
    binder->watches = bodies;
    binder->watches_count = COUNT_OF(bodies);
    bool fine = field_bind(binder, settings_fields, root, ret_config);
    binder->watches = NULL;
    binder->watches_count = 0;
    if (!fine)
        return false;
    if (bodies[0].found || bodies[1].found)
        return bind_error(binder, root, "access_log.template",
                          "cannot use a body: a log does not make the gateway buffer one");
    const struct settings *settings = &ret_config->settings;
    if (settings->access_log_format == ACCESS_LOG_TEMPLATE && settings->access_log_path.size
        && !settings->access_log_template)
        return bind_error(binder, root, "access_log.template", "is needed for `format: template`");
    if (settings->access_log_template && settings->access_log_format != ACCESS_LOG_TEMPLATE)
        return bind_error(binder, root, "access_log.template", "is used only with `format: template`");
    return true;
}
