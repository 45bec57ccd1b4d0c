/* Binds and prepares policy lists. */
#include "policy/instance.h"

#include "base/check.h"
#include "http/uri.h"
#include "upstream/service.h"

const char *const policy_stage_names[] = {"edge",      "identity", "access",  "quota", "validate",
                                          "transform", "cache",    "observe", NULL};
const char *const order_choices[] = {"stages", "written", NULL};
static const char *const on_error_choices[] = {"deny", "allow", NULL};

static_assert(COUNT_OF(policy_stage_names) == STAGES_COUNT + 1, "a name for each stage");

struct common_config {
    const struct expr *when;
    int on_error, stage;
    bool enabled;
    struct text id;
};

const struct field policy_common_fields[] = {
    FIELD_EXPRESSION(
        struct common_config, when, "when", OPTIONAL, EXPR_BOOL,
        "The policy runs only where this is true. A condition on the answer (`response.*`) is for policies that change answers."),
    FIELD_CHOICE(
        struct common_config, on_error, "on_error", "deny", on_error_choices,
        "What happens when the policy cannot decide: `deny` refuses the request, `allow` goes on without it."),
    FIELD_BOOL(struct common_config, enabled, "enabled", "true",
               "`false` leaves the policy out, but still checks it."),
    FIELD_CHOICE(struct common_config, stage, "stage", OPTIONAL, policy_stage_names,
                 "Runs in this stage instead of the policy's own."),
    FIELD_TEXT(
        struct common_config, id, "id", OPTIONAL,
        "A policy with the same id at a narrower scope replaces this one. The policy's name unless given."),
    FIELD_END,
};

struct service *prepare_service(struct prepare *prepare, const char *field, struct text url,
                                int64_t timeout_ms)
{
    return service_of_url(prepare->binder, prepare->services, prepare->instance, prepare->node, field, url,
                          timeout_ms);
}

const struct policy *policy_find(struct text name)
{
    for (size_t i = 0; i < policies_count; i++)
        if (text_equal(text_of(policies[i]->name), name))
            return policies[i];
    return NULL;
}

static bool is_common(struct text key)
{
    for (const struct field *field = policy_common_fields; field->kind != FIELD_KIND_END; field++)
        if (text_equal(text_of(field->name), key))
            return true;
    return false;
}

static bool unknown_policy(struct binder *binder, const struct node *at, struct text name)
{
    struct text names[256];
    size_t count = 0;
    for (size_t i = 0; i < policies_count && count < 200; i++)
        names[count++] = text_of(policies[i]->name);
    for (const struct field *field = policy_common_fields; field->kind != FIELD_KIND_END; field++)
        names[count++] = text_of(field->name);
    struct text near = near_miss(name, names, count);
    if (near.at)
        return bind_error(binder, at, NULL, "there is no policy `%.*s`; did you mean `%.*s`?",
                          TEXT_ARGS(name), TEXT_ARGS(near));
    return bind_error(binder, at, NULL, "there is no policy `%.*s`; `turnpike policies` lists them",
                      TEXT_ARGS(name));
}

/* Splits an entry into the policy with its configuration and a map of the common fields. */
static bool split_entry(struct binder *binder, const struct node *entry, const struct policy **ret_policy,
                        const struct node **ret_config, struct node *ret_common)
{
    if (entry->kind != NODE_MAP)
        return bind_error(binder, entry, NULL, "wants an entry such as `- request-id: {}`");
    bool fine = true;
    *ret_policy = NULL;
    *ret_common = (struct node){.kind = NODE_MAP, .place = entry->place};
    ret_common->keys = arena_array(binder->arena, entry->count, sizeof *ret_common->keys);
    ret_common->items = arena_array(binder->arena, entry->count, sizeof *ret_common->items);
    if (!ret_common->keys || !ret_common->items)
        return bind_error(binder, entry, NULL, "out of memory");
    for (uint32_t i = 0; i < entry->count; i++) {
        struct text key = entry->keys[i].text;
        const struct policy *policy = policy_find(key);
        if (is_common(key)) {
            ret_common->keys[ret_common->count] = entry->keys[i];
            ret_common->items[ret_common->count++] = entry->items[i];
        } else if (!policy) {
            fine = unknown_policy(binder, &entry->keys[i], key);
        } else if (*ret_policy) {
            fine = bind_error(binder, &entry->keys[i], NULL,
                              "one policy to an entry: begin `%.*s` with a dash of its own", TEXT_ARGS(key));
        } else {
            *ret_policy = policy;
            *ret_config = &entry->items[i];
        }
    }
    if (fine && !*ret_policy)
        return bind_error(binder, entry, NULL, "names no policy");
    return fine;
}

/* release hooks run by prepare's own arena_defer; nothing else to undo here. */
static bool bind_config(struct binder *binder, const struct policy_builder *builder,
                        struct policy_instance *instance, const struct node *node)
{
    static const struct node empty = {.kind = NODE_MAP};
    const struct policy *policy = instance->policy;
    struct node placed = empty;
    placed.place = node->place;
    if (node->kind == NODE_NULL) /* `- request-id:` alone */
        node = &placed;
    void *config = arena_zero(binder->arena, MAX_OF(policy->config_size, (size_t)1));
    if (!config)
        return bind_error(binder, node, NULL, "out of memory");
    if (!field_bind(binder, policy->fields, node, config))
        return false;
    struct prepare prepare = {
        .binder = binder,
        .node = node,
        .instance =
            arena_format(binder->arena, "%.*s.%.*s", TEXT_ARGS(instance->scope), TEXT_ARGS(instance->id)),
        .workers = builder->workers,
        .states = builder->states,
        .services = builder->services,
    };
    instance->config = config;
    return !policy->prepare || policy->prepare(&prepare, config);
}

static uint16_t index_of(const struct policy *policy)
{
    uint16_t index = 0;
    while (policies[index] != policy)
        index++;
    return index;
}

/* Does more with a request than prepare it for the answer? */
static bool decides_on_requests(const struct policy *policy)
{
    switch (policy->stage) {
    case STAGE_IDENTITY:
    case STAGE_ACCESS:
    case STAGE_QUOTA:
    case STAGE_VALIDATE: return true;
    case STAGE_EDGE:
    case STAGE_TRANSFORM:
    case STAGE_CACHE:
    case STAGE_OBSERVE:
    case STAGES_COUNT: break;
    }
    return policy->on_request_body || policy->on_response_body;
}

static bool uses(const struct expr *expr, const struct attribute_set *attributes)
{
    for (size_t i = 0; expr && i < attributes->count; i++)
        if (expr_uses(expr, attributes->ids[i]))
            return true;
    return false;
}

/* A condition on the answer cannot decide whether a policy looks at the request: without a refusal here the policy would silently not run. */
static bool check_when(struct binder *binder, const struct policy_builder *builder, const struct node *entry,
                       struct policy_instance *instance)
{
    const struct policy *policy = instance->policy;
    instance->when_response = uses(instance->when, &builder->response_attributes);
    instance->when_request_body = uses(instance->when, &builder->request_body_attributes);
    instance->when_response_body = uses(instance->when, &builder->response_body_attributes);
    if (!instance->when_response || (policy->on_response && !decides_on_requests(policy)))
        return true;
    return bind_error(binder, node_get(entry, TEXT("when")), "when",
                      "`%s` runs before there is an answer: its condition cannot speak of one", policy->name);
}

static struct body_use use_of(enum body_need need, const struct expr *found, const struct expr *when)
{
    return (struct body_use){.whole = need == BODY_WHOLE || found || when,
                             .because = need == BODY_WHOLE ? NULL
                                        : found            ? found
                                                           : when};
}

/* What needs the bodies: the policy, or one of its expressions. */
static void note_bodies(struct policy_instance *instance, const struct expr_watch watches[2])
{
    instance->request_body = use_of(instance->policy->request_body, watches[0].found,
                                    instance->when_request_body ? instance->when : NULL);
    instance->response_body = use_of(instance->policy->response_body, watches[1].found,
                                     instance->when_response_body ? instance->when : NULL);
}

static bool build_entry(struct binder *binder, const struct policy_builder *builder, struct text scope,
                        const struct node *entry, struct policy_instance *instance, bool *ret_enabled)
{
    struct common_config common = {.stage = -1};
    const struct node *config_node = NULL;
    struct node common_node;
    if (!split_entry(binder, entry, &instance->policy, &config_node, &common_node))
        return false;
    bool fine = field_bind(binder, policy_common_fields, &common_node, &common);
    instance->when = common.when;
    fine &= check_when(binder, builder, entry, instance);
    instance->allow_on_error = common.on_error == 1;
    instance->stage =
        node_get(entry, TEXT("stage")) ? (enum policy_stage)common.stage : instance->policy->stage;
    instance->index = index_of(instance->policy);
    instance->id = common.id.size ? common.id : text_of(instance->policy->name);
    instance->scope = scope;
    instance->place = entry->place;
    instance->source =
        entry->place.source ? arena_copy(binder->arena, source_name(entry->place.source)) : TEXT("");
    *ret_enabled = common.enabled;
    struct text path = binder->path;
    binder->path = arena_format(binder->arena, "%.*s.%s", TEXT_ARGS(path), instance->policy->name);
    struct expr_watch watches[] = {
        {.ids = builder->request_body_attributes.ids, .count = builder->request_body_attributes.count},
        {.ids = builder->response_body_attributes.ids, .count = builder->response_body_attributes.count},
    };
    binder->watches = watches;
    binder->watches_count = COUNT_OF(watches);
    fine &= bind_config(binder, builder, instance, config_node);
    binder->watches = NULL;
    binder->watches_count = 0;
    binder->path = path;
    note_bodies(instance, watches);
    return fine;
}

static bool check_unique(struct binder *binder, const struct policy_set *set, const struct node *entry)
{
    const struct policy_instance *last = &set->items[set->count - 1];
    for (size_t i = 0; i + 1 < set->count; i++)
        if (text_equal(set->items[i].id, last->id))
            return bind_error(binder, entry, NULL,
                              "`%.*s` is in this list twice; give one of them an `id` of its own",
                              TEXT_ARGS(last->id));
    return true;
}

bool policy_set_build(struct binder *binder, const struct policy_builder *builder, struct text scope,
                      const struct node *list, bool written, struct policy_set *ret_set)
{
    *ret_set = (struct policy_set){0};
    if (!list || list->kind == NODE_NULL)
        return true;
    if (list->kind != NODE_LIST)
        return bind_error(binder, list, NULL, "wants a list of policies such as `- request-id: {}`");
    ret_set->items = arena_array(binder->arena, list->count, sizeof *ret_set->items);
    if (!ret_set->items)
        return bind_error(binder, list, NULL, "out of memory");
    struct text path = binder->path;
    bool fine = true;
    for (uint32_t i = 0; i < list->count; i++) {
        struct policy_instance *instance = &ret_set->items[ret_set->count];
        bool enabled = true;
        binder->path = arena_format(binder->arena, "%.*s[%u]", TEXT_ARGS(path), i);
        *instance = (struct policy_instance){0};
        if (!build_entry(binder, builder, scope, &list->items[i], instance, &enabled)) {
            fine = false;
        } else if (enabled) {
            ret_set->count++;
            if (written)
                instance->stage = ret_set->items[0].stage;
            fine &= check_unique(binder, ret_set, &list->items[i]);
        }
    }
    binder->path = path;
    return fine;
}
