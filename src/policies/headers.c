/* headers: sets, adds, renames and removes header fields, of the request and of the response. */
#include "http/uri.h"
#include "policies/header_lines.h"
#include "policies/places.h"
#include "proxy/exchange.h"

struct status_range {
    unsigned from, to;
};

struct header_changes {
    struct array remove;           /* struct text, perhaps with a "*" at the end */
    struct array rename;           /* struct text_pair: old, new */
    struct array set, absent, add; /* struct template_pair */
    struct array statuses;         /* struct text, of responses */
    struct status_range *ranges;
};

struct headers_config {
    struct header_changes request, response;
};

#define CHANGES                                                                                              \
    FIELD_LIST(struct header_changes, remove, "remove", OPTIONAL, &field_item_text,                          \
               FIELD_ONE_OR_MORE | FIELD_UNIQUE,                                                             \
               "Fields that are taken away. A `*` at the end stands for any rest: `X-Internal-*`."),         \
        FIELD_MAP(struct header_changes, rename, "rename", OPTIONAL, &field_item_text_pair, 0,               \
                  "Fields that get another name: `old: new`. One that has the new name already gives way."), \
        FIELD_MAP(struct header_changes, set, "set", OPTIONAL, &field_item_template_pair, 0,                 \
                  "Fields that have this one value afterwards."),                                            \
        FIELD_MAP(struct header_changes, absent, "default", OPTIONAL, &field_item_template_pair, 0,          \
                  "Fields that are set where the message has none of that name."),                           \
        FIELD_MAP(struct header_changes, add, "add", OPTIONAL, &field_item_template_pair, 0,                 \
                  "Fields that are added to those of the same name.")

static const struct field request_fields[] = {CHANGES, FIELD_END};

static const struct field response_fields[] = {
    CHANGES,
    FIELD_LIST(struct header_changes, statuses, "status", OPTIONAL, &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE,
               "Only answers with one of these: a status such as `404` or a class such as `5xx`."),
    FIELD_END,
};

static const struct field headers_fields[] = {
    FIELD_STRUCT(struct headers_config, request, "request", OPTIONAL, request_fields,
                 "What changes on the way to the service."),
    FIELD_STRUCT(struct headers_config, response, "response", OPTIONAL, response_fields,
                 "What changes on the way to the client."),
    FIELD_END,
};

/* --- preparing --- */

static bool check_rename(struct prepare *prepare, const struct node *map, const char *field,
                         const struct array *pairs)
{
    const struct text_pair *items = pairs->items;
    bool fine = true;
    for (size_t i = 0; i < pairs->count; i++) {
        fine &= header_check_name(prepare, &map->keys[i], field, items[i].key);
        fine &= header_check_name(prepare, &map->items[i], field, items[i].value);
    }
    return fine;
}

/* "404" or "5xx". */
static bool parse_statuses(struct text t, struct status_range *ret_range)
{
    if (t.size != 3 || t.at[0] < '1' || t.at[0] > '5')
        return false;
    unsigned hundreds = (unsigned)(t.at[0] - '0') * 100;
    if (text_equal_nocase(text_slice(t, 1, 3), TEXT("xx"))) {
        *ret_range = (struct status_range){hundreds, hundreds + 99};
        return true;
    }
    uint64_t status;
    if (!text_to_uint64(t, &status))
        return false;
    *ret_range = (struct status_range){(unsigned)status, (unsigned)status};
    return true;
}

static bool prepare_statuses(struct prepare *side, struct header_changes *changes)
{
    const struct text *items = changes->statuses.items;
    changes->ranges = arena_array(side->binder->arena, changes->statuses.count, sizeof *changes->ranges);
    for (size_t i = 0; changes->ranges && i < changes->statuses.count; i++)
        if (!parse_statuses(items[i], &changes->ranges[i]))
            return bind_error(side->binder, item_place(side, "status", i), "response.status",
                              "wants a status such as `404` or a class such as `5xx`, got `%.*s`",
                              TEXT_ARGS(items[i]));
    return changes->ranges || bind_error(side->binder, side->node, NULL, "out of memory");
}

/* A constant host that is none would fail each time. */
static bool check_host(struct prepare *side, const struct array *pairs)
{
    const struct template_pair *items = pairs->items;
    const struct node *map = node_get(side->node, TEXT("set"));
    for (size_t i = 0; i < pairs->count; i++) {
        const struct value *constant = expr_constant(items[i].value);
        struct text host;
        uint16_t port;
        if (field_name_parse(items[i].key) == NAME_HOST && constant && constant->kind == VALUE_STRING
            && !uri_parse_authority(constant->text, side->binder->arena, &host, &port))
            return bind_error(side->binder, &map->items[i], "request.set.Host", "`%.*s` is not a host",
                              TEXT_ARGS(constant->text));
    }
    return true;
}

static bool prepare_side(const struct prepare *prepare, const char *name, struct header_changes *changes)
{
    struct prepare side = *prepare;
    side.node = node_get(prepare->node, text_of(name));
    if (!side.node)
        return true;
    bool is_request = text_equal(text_of(name), TEXT("request"));
    bool fine = header_check_patterns(&side, "remove", &changes->remove);
    fine &= check_rename(&side, node_get(side.node, TEXT("rename")), "rename", &changes->rename);
    fine &= header_check_map(&side, node_get(side.node, TEXT("set")), "set", &changes->set, is_request);
    fine &= header_check_map(&side, node_get(side.node, TEXT("default")), "default", &changes->absent, false);
    fine &= header_check_map(&side, node_get(side.node, TEXT("add")), "add", &changes->add, false);
    return fine && check_host(&side, &changes->set) && prepare_statuses(&side, changes);
}

static bool changes_nothing(const struct header_changes *changes)
{
    return changes->remove.count + changes->rename.count + changes->set.count + changes->absent.count
               + changes->add.count
           == 0;
}

static bool headers_prepare(struct prepare *prepare, void *config_)
{
    struct headers_config *config = config_;
    if (changes_nothing(&config->request) && changes_nothing(&config->response))
        return bind_error(
            prepare->binder, prepare->node, NULL,
            "nothing is changed: set, add, rename or remove a field of `request` or `response`");
    bool fine = prepare_side(prepare, "request", &config->request);
    return prepare_side(prepare, "response", &config->response) && fine;
}

/* --- changing --- */

static void remove_fields(struct fields *fields, const struct array *patterns)
{
    FIELDS_EACH (line, fields)
        if (header_is_one_of(line->name, patterns))
            line->removed = true;
}

static void rename_field(struct fields *fields, const struct text_pair *pair)
{
    uint32_t count = fields->count; /* the lines may move while some are added */
    if (text_equal_nocase(pair->key, pair->value) || !fields_find(fields, pair->key))
        return;
    (void)fields_remove(fields, pair->value);
    for (uint32_t i = 0; i < count; i++) {
        struct field_line line = fields->lines[i];
        if (line.removed || !text_equal_nocase(line.name, pair->key))
            continue;
        fields->lines[i].removed = true;
        (void)fields_add(fields, pair->value, line.value); /* without memory the arena says so */
    }
}

/* Host is no field of the request any more: it is told to the driver. False: the value is no host. */
static bool set_host(struct exchange *ex, struct text host)
{
    struct text parsed;
    uint16_t port;
    if (!uri_parse_authority(host, &ex->arena, &parsed, &port))
        return false;
    ex->forward_host = host;
    return true;
}

/* All spellings of a name: a client's `X_User` must not stand beside the `X-User` that is set here. */
static void remove_same(struct fields *fields, struct text name)
{
    FIELDS_EACH (line, fields)
        if (header_is_same(line->name, name))
            line->removed = true;
}

static bool set_fields(struct exchange *ex, struct fields *fields, const struct array *pairs,
                       const struct text *values)
{
    const struct template_pair *items = pairs->items;
    for (size_t i = 0; i < pairs->count; i++) {
        if (text_equal_nocase(items[i].key, TEXT("Host"))) {
            if (!set_host(ex, values[i]))
                return false;
            continue;
        }
        remove_same(fields, items[i].key);
        (void)fields_add(fields, items[i].key, values[i]); /* likewise */
    }
    return true;
}

static enum verdict change(struct exchange *ex, struct fields *fields, const struct header_changes *changes)
{
    const struct template_pair *absent = changes->absent.items, *add = changes->add.items;
    const struct text_pair *rename = changes->rename.items;
    struct text *to_set, *to_default, *to_add;
    /* All before anything changes: templates see the message as it came, and a failure changes nothing. */
    if (!header_eval_all(ex, &changes->set, &to_set) || !header_eval_all(ex, &changes->absent, &to_default)
        || !header_eval_all(ex, &changes->add, &to_add))
        return VERDICT_FAULT;
    remove_fields(fields, &changes->remove);
    for (size_t i = 0; i < changes->rename.count; i++)
        rename_field(fields, &rename[i]);
    if (!set_fields(ex, fields, &changes->set, to_set))
        return exchange_fault(ex, "the template of `Host` did not give a host");
    for (size_t i = 0; i < changes->absent.count; i++)
        if (!fields_find(fields, absent[i].key))
            (void)fields_add(fields, absent[i].key, to_default[i]); /* likewise */
    for (size_t i = 0; i < changes->add.count; i++)
        (void)fields_add(fields, add[i].key, to_add[i]); /* likewise */
    return VERDICT_NEXT;
}

/* --- the policy --- */

static enum verdict headers_request(struct exchange *ex, const void *config_, void *state)
{
    (void)state;
    const struct headers_config *config = config_;
    return change(ex, &ex->request.fields, &config->request);
}

static bool is_chosen(const struct header_changes *changes, unsigned status)
{
    for (size_t i = 0; i < changes->statuses.count; i++)
        if (status >= changes->ranges[i].from && status <= changes->ranges[i].to)
            return true;
    return changes->statuses.count == 0;
}

static enum verdict headers_response(struct exchange *ex, const void *config_, void *state)
{
    (void)state;
    const struct headers_config *config = config_;
    if (!is_chosen(&config->response, ex->response.status))
        return VERDICT_NEXT;
    return change(ex, &ex->response.fields, &config->response);
}

static const char headers_manual[] =
    "Changes header fields on the way to the service and on the way back. Values are templates: `${...}` holds an expression.\n"
    "\n"
    "```yaml\n"
    "listeners:\n"
    "  main: { address: \"127.0.0.1:8080\" }\n"
    "services:\n"
    "  orders: { endpoints: [\"http://127.0.0.1:7001\"] }\n"
    "routes:\n"
    "  order:\n"
    "    match: { path: \"/orders/{id}\" }\n"
    "    service: orders\n"
    "    policies:\n"
    "      - headers:\n"
    "          request:\n"
    "            remove: [X-Debug, \"X-Internal-*\"]\n"
    "            rename: { X-Client-Version: X-App-Version }\n"
    "            set: { X-Order: \"${request.params.id}\", Host: orders.internal }\n"
    "            default: { Accept: application/json }\n"
    "          response:\n"
    "            add: { Cache-Control: no-store }\n"
    "            status: [5xx, 404]\n"
    "```\n"
    "\n"
    "The order is `remove`, `rename`, `set`, `default`, `add`. Templates are evaluated before the first change, so a field may be removed\n"
    "and its old value set under another name. The response's changes apply to answers that the gateway or a policy makes as well; with\n"
    "`status` only to some.\n"
    "\n"
    "`set` takes `Host` in a request: the service is called with it. The other fields of the connection and of the framing (`Connection`,\n"
    "`Transfer-Encoding`, `Content-Length`, `Upgrade` and the like) cannot be changed. `X-Forwarded-*` and `Via` are written by the\n"
    "gateway after all policies, as the listener's `forwarded` and `via` say.\n"
    "\n"
    "**Security.** Templates may carry what the client sent. A value with a line break or another control character is never sent: the policy\n"
    "fails, and `on_error` decides what becomes of the request (503 unless it says `allow`). If a service trusts a field,\n"
    "`remove` or `set` it here, since `default` and `add` keep what the client sent.\n";

const struct policy policy_headers = {
    .name = "headers",
    .summary = "Sets, adds, renames and removes header fields.",
    .manual = headers_manual,
    .stage = STAGE_TRANSFORM,
    .status = POLICY_STABLE,
    .fields = headers_fields,
    .config_size = sizeof(struct headers_config),
    .prepare = headers_prepare,
    .on_request = headers_request,
    .on_response = headers_response,
};
