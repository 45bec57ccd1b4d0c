/* acl: which consumers may call, by name, group and label, and with which methods. */
#include "base/check.h"
#include "base/table.h"
#include "policies/places.h"
#include "proxy/exchange.h"

/* A list of names: few are compared, many are looked up. */
enum { NAMES_FEW = 8 };

struct names {
    const struct text *items;
    size_t count;
    struct table table; /* of those that are many */
};

struct acl_label {
    struct text key;
    struct array values; /* struct text */
};

struct acl_rule {
    struct array consumers_list, groups_list, labels; /* as bound */
    struct array methods;
    struct names consumers, groups;
};

struct acl_config {
    struct array allow, deny; /* struct acl_rule */
    int64_t status;
    struct text message;
};

static const struct field label_fields[] = {
    {FIELD_MEMBER_(struct acl_label, values, "values", FIELD_KIND_LIST, REQUIRED,
                   "Values of which the consumer's label has one."),
     .item = &field_item_text, .flags = FIELD_SHORTHAND | FIELD_ONE_OR_MORE | FIELD_NOT_EMPTY},
    FIELD_END,
};
static const struct field label_item = ITEM_STRUCT(struct acl_label, label_fields);

static const struct field rule_fields[] = {
    FIELD_LIST(struct acl_rule, groups_list, "groups", OPTIONAL, &field_item_text,
               FIELD_SHORTHAND | FIELD_ONE_OR_MORE, "The consumer is in one of these groups."),
    FIELD_LIST(struct acl_rule, consumers_list, "consumers", OPTIONAL, &field_item_text, FIELD_ONE_OR_MORE,
               "The consumer is one of these."),
    FIELD_MAP(struct acl_rule, labels, "labels", OPTIONAL, &label_item, offsetof(struct acl_label, key),
              "The consumer has all of these labels, each with this value or with one of these."),
    FIELD_LIST(struct acl_rule, methods, "methods", OPTIONAL, &field_item_text, FIELD_ONE_OR_MORE,
               "The request has one of these methods. A rule of methods alone needs no consumer."),
    FIELD_END,
};
static const struct field rule_item = ITEM_STRUCT(struct acl_rule, rule_fields);

static const struct field acl_fields[] = {
    FIELD_LIST(
        struct acl_config, allow, "allow", OPTIONAL, &rule_item, FIELD_ONE_OR_MORE,
        "Rules of which one must fit. A rule fits if all that it says is true; a text alone is a group."),
    FIELD_LIST(struct acl_config, deny, "deny", OPTIONAL, &rule_item, FIELD_ONE_OR_MORE,
               "Rules of which none may fit. They come before `allow`."),
    FIELD_INTEGER(struct acl_config, status, "status", "403", 400, 599,
                  "Status for an identified consumer that is refused."),
    FIELD_TEXT(struct acl_config, message, "message", "You may not call this API.",
               "The `detail` of the refusal."),
    FIELD_END,
};

static void release_table(void *table)
{
    table_release(table);
}

static bool build_names(struct prepare *prepare, const struct array *list, struct names *names)
{
    static char there;
    *names = (struct names){.items = list->items, .count = list->count};
    if (names->count <= NAMES_FEW)
        return true;
    bool built = arena_defer(prepare->binder->arena, release_table, &names->table);
    for (size_t i = 0; i < names->count && built; i++)
        built = table_put(&names->table, names->items[i], &there);
    return built || bind_error(prepare->binder, prepare->node, NULL, "out of memory");
}

static bool prepare_rule(struct prepare *prepare, const char *field, const struct node *place,
                         struct acl_rule *rule)
{
    const struct text *methods = rule->methods.items;
    if (rule->consumers_list.count + rule->groups_list.count + rule->labels.count + rule->methods.count == 0)
        return bind_error(
            prepare->binder, place, field,
            "a rule that says nothing fits everything: give it `groups`, `consumers`, `labels` or `methods`");
    for (size_t i = 0; i < rule->methods.count; i++) {
        bool is_upper = true;
        for (size_t k = 0; k < methods[i].size; k++)
            is_upper &= methods[i].at[k] < 'a' || methods[i].at[k] > 'z';
        if (!is_upper || !http_is_token(methods[i]))
            return bind_error(prepare->binder, place, field,
                              "`%.*s` is not a method; methods are written in capitals, as `GET`",
                              TEXT_ARGS(methods[i]));
    }
    return build_names(prepare, &rule->consumers_list, &rule->consumers)
           && build_names(prepare, &rule->groups_list, &rule->groups);
}

static bool prepare_rules(struct prepare *prepare, const char *field, struct array *rules)
{
    struct acl_rule *items = rules->items;
    bool fine = true;
    for (size_t i = 0; i < rules->count; i++)
        fine &= prepare_rule(prepare, field, item_place(prepare, field, i), &items[i]);
    return fine;
}

static bool acl_prepare(struct prepare *prepare, void *config_)
{
    struct acl_config *config = config_;
    if (config->allow.count + config->deny.count == 0)
        return bind_error(prepare->binder, prepare->node, NULL,
                          "says neither whom to `allow` nor whom to `deny`");
    bool fine = prepare_rules(prepare, "allow", &config->allow);
    fine &= prepare_rules(prepare, "deny", &config->deny);
    return fine;
}

/* --- whether a rule fits --- */

static bool names_hold(const struct names *names, struct text name)
{
    if (names->count > NAMES_FEW)
        return table_get(&names->table, name) != NULL;
    for (size_t i = 0; i < names->count; i++)
        if (text_equal(names->items[i], name))
            return true;
    return false;
}

static bool list_holds(const struct array *list, struct text wanted)
{
    const struct text *items = list->items;
    for (size_t i = 0; i < list->count; i++)
        if (text_equal(items[i], wanted))
            return true;
    return false;
}

static bool is_in_a_group(const struct names *groups, const struct consumer *consumer)
{
    for (size_t i = 0; i < consumer->kind->groups_count; i++)
        if (names_hold(groups, consumer->kind->groups[i]))
            return true;
    return false;
}

static bool has_labels(const struct array *labels, const struct consumer *consumer)
{
    const struct acl_label *wanted = labels->items;
    for (size_t i = 0; i < labels->count; i++) {
        struct text value = consumer_label(consumer, wanted[i].key);
        if (!value.at || !list_holds(&wanted[i].values, value))
            return false;
    }
    return true;
}

enum fit { FIT_NO, FIT_YES, FIT_UNKNOWN /* depends on who calls, and nobody was identified */ };

static enum fit rule_fits(const struct acl_rule *rule, const struct exchange *ex)
{
    if (rule->methods.count && !list_holds(&rule->methods, ex->request.method_text))
        return FIT_NO;
    if (rule->consumers.count + rule->groups.count + rule->labels.count == 0)
        return FIT_YES;
    if (!ex->consumer)
        return FIT_UNKNOWN;
    bool fits = (rule->consumers.count == 0 || names_hold(&rule->consumers, ex->consumer->name))
                && (rule->groups.count == 0 || is_in_a_group(&rule->groups, ex->consumer))
                && has_labels(&rule->labels, ex->consumer);
    return fits ? FIT_YES : FIT_NO;
}

static enum fit any_fits(const struct array *rules, const struct exchange *ex)
{
    const struct acl_rule *items = rules->items;
    enum fit best = FIT_NO;
    for (size_t i = 0; i < rules->count && best != FIT_YES; i++) {
        enum fit fit = rule_fits(&items[i], ex);
        best = fit == FIT_NO ? best : fit;
    }
    return best;
}

/* --- the policy --- */

/* 401 wants a challenge (RFC 9110 section 11.6.1), but which scheme identifies callers here is not this policy's to know. */
static enum verdict refuse_unidentified(struct exchange *ex)
{
    enum verdict verdict = exchange_respond_problem(ex, 401, TEXT("The request does not say who calls."));
    (void)fields_add_known(&ex->response.fields, NAME_WWW_AUTHENTICATE,
                           TEXT("Consumer")); /* without memory the arena says so */
    return verdict;
}

static enum verdict acl_request(struct exchange *ex, const void *config_, void *state)
{
    (void)state;
    const struct acl_config *config = config_;
    enum fit denied = any_fits(&config->deny, ex);
    enum fit allowed = config->allow.count ? any_fits(&config->allow, ex) : FIT_YES;
    if (denied == FIT_NO && allowed == FIT_YES)
        return VERDICT_NEXT;
    if (denied != FIT_YES && (denied == FIT_UNKNOWN || allowed == FIT_UNKNOWN))
        return refuse_unidentified(ex);
    return exchange_respond_problem(ex, (unsigned)config->status, config->message);
}

static const char acl_manual[] =
    "Decides which consumers may call, by their name, groups and labels, and with which methods. An identity policy such as\n"
    "`key-auth` has to say first who calls.\n"
    "\n"
    "```yaml\n"
    "listeners:\n"
    "  main: { address: \"127.0.0.1:8080\" }\n"
    "services:\n"
    "  orders: { endpoints: [\"http://127.0.0.1:7001\"] }\n"
    "routes:\n"
    "  orders:\n"
    "    match: { path: \"/orders/*\" }\n"
    "    service: orders\n"
    "    policies:\n"
    "      - key-auth: {}\n"
    "      - acl:\n"
    "          allow:\n"
    "            - { groups: [staff] }                         # staff may do anything\n"
    "            - { groups: [partners], methods: [GET, HEAD] } # partners may read\n"
    "          deny:\n"
    "            - { labels: { contract: ended } }\n"
    "consumers:\n"
    "  alice: { keys: [\"${env:ALICE_KEY:-a-key-to-try-it-out-with}\"], groups: [staff] }\n"
    "  shop: { keys: [\"${env:SHOP_KEY:-a-key-that-the-shop-tries}\"], groups: [partners], labels: { contract: ended } }\n"
    "```\n"
    "\n"
    "A rule fits if everything that it says is true: one of its `groups`, one of its `consumers`, all of its `labels`, one of its `methods`.\n"
    "`allow: [staff, partners]` is short for a rule of groups each. If a rule of `deny` fits, the request is refused; then, if there is an `allow`, one\n"
    "of its rules must fit. `methods` are compared exactly; `GET` does not stand for `HEAD`.\n"
    "\n"
    "A consumer that is refused gets `status` with a problem document. If the answer depends on who calls and nobody was identified, it\n"
    "is 401, for `deny` too: the policy never lets through whom it could not judge.\n"
    "\n"
    "**Security.** The policy trusts what an identity policy found out, and the method. It takes nothing else from the request.\n";

const struct policy policy_acl = {
    .name = "acl",
    .summary = "Allows or denies consumers by name, group, label and method.",
    .manual = acl_manual,
    .stage = STAGE_ACCESS,
    .status = POLICY_STABLE,
    .fields = acl_fields,
    .config_size = sizeof(struct acl_config),
    .prepare = acl_prepare,
    .on_request = acl_request,
};
