/* A field table with every kind and flag: for unit tests and for the fuzz target. */
#pragma once

#include "config/field.h"

struct sample_limit {
    int64_t limit, window_ms;
    const struct expr *key;
};

struct sample_endpoint {
    struct text url;
    int64_t weight;
};

struct sample_service {
    struct text name;
    struct array endpoints; /* struct sample_endpoint */
    int balance;
    struct {
        int64_t connect_ms, idle_ms;
    } timeouts;
    struct sample_limit limit;
};

struct sample_user {
    struct text name, password;
    struct array keys, groups;
};

struct sample {
    bool debug;
    int64_t workers, body_bytes;
    double ratio, budget;
    struct text title, version;
    const struct expr *when, *greeting;
    struct array hosts, retry_on, headers, services, users, labels;
    const struct node *anything;
    int even;
};

static inline bool sample_bind_even(struct binder *binder, const struct field *field, const struct node *node,
                                    void *at)
{
    (void)field;
    int64_t value;
    if (node->kind != NODE_SCALAR || !text_to_int64(node->text, &value) || value % 2)
        return bind_error(binder, node, NULL, "wants an even number");
    *(int *)at = (int)(value % 1000);
    return true;
}

static const char *const sample_balances[] = {"round-robin", "least-requests", "random", NULL};
static const char *const sample_retries[] = {"connect-failure", "reset", "503", NULL};

static const struct field sample_limit_fields[] = {
    {FIELD_MEMBER_(struct sample_limit, limit, "limit", FIELD_KIND_INTEGER, REQUIRED,
                   "Requests in a window."),
     .min = 1, .max = 1000000, .flags = FIELD_SHORTHAND},
    FIELD_DURATION(struct sample_limit, window_ms, "window", "1m", 1000, 86400000, "Length of the window."),
    FIELD_EXPRESSION(struct sample_limit, key, "key", OPTIONAL, EXPR_STRING, "What is counted by."),
    FIELD_END,
};

static const struct field sample_endpoint_fields[] = {
    {FIELD_MEMBER_(struct sample_endpoint, url, "url", FIELD_KIND_TEXT, REQUIRED, "Where it is."), .min = 1,
     .max = 100, .flags = FIELD_SHORTHAND, .example = "http://127.0.0.1:7001"},
    FIELD_INTEGER(struct sample_endpoint, weight, "weight", "1", 0, 100, "Its share."),
    FIELD_END,
};

static const struct field sample_timeouts_fields[] = {
    {.name = "connect",
     .kind = FIELD_KIND_DURATION,
     .offset = 0,
     .size = 8,
     .default_value = "1s",
     .about = "To connect."},
    {.name = "idle",
     .kind = FIELD_KIND_DURATION,
     .offset = 8,
     .size = 8,
     .default_value = "1m30s",
     .about = "Between bytes."},
    FIELD_END,
};

static const struct field sample_item_endpoint = ITEM_STRUCT(struct sample_endpoint, sample_endpoint_fields);
static const struct field sample_item_retry = ITEM_CHOICE(sample_retries);

static const struct field sample_service_fields[] = {
    FIELD_LIST(struct sample_service, endpoints, "endpoints", REQUIRED, &sample_item_endpoint,
               FIELD_NOT_EMPTY | FIELD_ONE_OR_MORE | FIELD_SHORTHAND, "Where requests go."),
    FIELD_CHOICE(struct sample_service, balance, "balance", "round-robin", sample_balances,
                 "How one is chosen."),
    FIELD_STRUCT(struct sample_service, timeouts, "timeouts", "{}", sample_timeouts_fields,
                 "How long to wait."),
    FIELD_STRUCT(struct sample_service, limit, "limit", OPTIONAL, sample_limit_fields, "How much | of it."),
    FIELD_END,
};

static const struct field sample_user_fields[] = {
    FIELD_SECRET(struct sample_user, password, "password", OPTIONAL, "For basic-auth."),
    FIELD_LIST(struct sample_user, keys, "keys", "[]", &field_item_secret, FIELD_UNIQUE, "For key-auth."),
    FIELD_LIST(struct sample_user, groups, "groups", "[all]", &field_item_text, FIELD_UNIQUE, "For acl."),
    FIELD_END,
};

static const struct field sample_item_service = ITEM_STRUCT(struct sample_service, sample_service_fields);
static const struct field sample_item_user = ITEM_STRUCT(struct sample_user, sample_user_fields);

static const struct field sample_fields[] = {
    FIELD_BOOL(struct sample, debug, "debug", "false", "Says more."),
    FIELD_INTEGER(struct sample, workers, "workers", "2", 1, 64, "Threads."),
    FIELD_SIZE(struct sample, body_bytes, "body", "1MiB", 0, 1 << 30, "Largest body."),
    FIELD_NUMBER(struct sample, ratio, "ratio", "0.5", 0, 0, "A number."),
    FIELD_PERCENT(struct sample, budget, "budget", "20%", "A part."),
    FIELD_TEXT(struct sample, title, "title", OPTIONAL, "A text."),
    FIELD_TEXT(struct sample, version, "version", "\"1.0\"", "Another text."),
    FIELD_EXPRESSION(struct sample, when, "when", OPTIONAL, EXPR_BOOL, "A condition."),
    FIELD_TEMPLATE(struct sample, greeting, "greeting", OPTIONAL, "A template."),
    FIELD_LIST(struct sample, hosts, "hosts", OPTIONAL, &field_item_text,
               FIELD_NOT_EMPTY | FIELD_ONE_OR_MORE | FIELD_UNIQUE, "Names."),
    FIELD_LIST(struct sample, retry_on, "retry_on", "[connect-failure, \"503\"]", &sample_item_retry,
               FIELD_ONE_OR_MORE, "When."),
    FIELD_MAP(struct sample, headers, "headers", "{}", &field_item_template_pair, 0, "Headers to set."),
    FIELD_MAP(struct sample, services, "services", OPTIONAL, &sample_item_service,
              offsetof(struct sample_service, name), "Origins."),
    FIELD_MAP(struct sample, users, "users", OPTIONAL, &sample_item_user, offsetof(struct sample_user, name),
              "Who calls."),
    FIELD_MAP(struct sample, labels, "labels", "{tier: \"1\"}", &field_item_text_pair, 0, "Anything."),
    FIELD_NODE(struct sample, anything, "anything", OPTIONAL, NULL, "Unchecked."),
    FIELD_CUSTOM(struct sample, even, "even", "2", sample_bind_even,
                 "{\"type\": \"integer\", \"multipleOf\": 2}", "An even number."),
    FIELD_END,
};
