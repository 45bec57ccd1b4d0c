/* The fields of a route. */
#include "proxy/route_config.h"

static const struct field timeouts_fields[] = {
    FIELD_DURATION(struct route_timeouts_config, connect_ms, "connect", OPTIONAL, 1, 3600000,
                   "Instead of the service's: for a connection to an endpoint."),
    FIELD_DURATION(struct route_timeouts_config, response_ms, "response", OPTIONAL, 1, 86400000,
                   "Instead of the service's: until the answer's head is there."),
    FIELD_DURATION(struct route_timeouts_config, idle_ms, "idle", OPTIONAL, 1, 86400000,
                   "Instead of the service's: longest pause of an origin, while bodies flow."),
    FIELD_DURATION(struct route_timeouts_config, total_ms, "total", OPTIONAL, 0, 86400000,
                   "Instead of the service's: for the whole exchange; 0 is no limit."),
    FIELD_DURATION(struct route_timeouts_config, body_ms, "body", OPTIONAL, 1, 3600000,
                   "Instead of the listener's: longest pause while a request body arrives."),
    FIELD_DURATION(struct route_timeouts_config, send_ms, "send", OPTIONAL, 1, 86400000,
                   "Instead of the listener's: longest pause while the client takes nothing of an answer."),
    FIELD_END,
};

static const struct field limits_fields[] = {
    FIELD_SIZE(struct route_limits_config, body, "body", OPTIONAL, 0, INT64_MAX,
               "Largest request body, instead of the listener's; 0 is no limit."),
    FIELD_SIZE(struct route_limits_config, buffered, "buffered_body", OPTIONAL, 0, 1 << 30,
               "Largest request body that a policy or expression may need whole, instead of the listener's."),
    FIELD_END,
};

static bool bind_strip(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    (void)field;
    if (node->kind == NODE_SCALAR && text_equal(node->text, TEXT("false")))
        return true;
    if (node->kind != NODE_SCALAR
        || !(text_equal(node->text, TEXT("true")) || text_starts_with(node->text, TEXT("/"))))
        return bind_error(binder, node, NULL, "wants true, false, or a path such as `/api`");
    *(struct text *)at = arena_copy(binder->arena, node->text);
    return true;
}

const struct field route_fields[] = {
    FIELD_STRUCT(struct route_config, match, "match", "{}", match_fields,
                 "Which requests take this route: all tests must hold."),
    FIELD_INTEGER(struct route_config, priority, "priority", "0", -1000000, 1000000,
                  "Higher ones are tried first, before more specific ones."),
    FIELD_NODE(
        struct route_config, service, "service", OPTIONAL,
        "{\"anyOf\":[{\"type\":[\"string\",\"number\",\"boolean\"]},{\"$ref\":\"#/$defs/route-choice\"}]}",
        "Name of a service, or the URL of an endpoint; or a list of services with weights; or a [choice](#route-choice) "
        "of one by an expression. Without one, a policy of the route answers, or it is a 404."),
    FIELD_CUSTOM(
        struct route_config, strip_prefix, "strip_prefix", OPTIONAL, bind_strip,
        "{\"type\":[\"boolean\",\"string\"]}",
        "`true` takes the prefix of `match.path` (`/a`, `/a/*` or `/a*`) off the path that the service gets; a path takes that one off."),
    FIELD_TEMPLATE(
        struct route_config, rewrite, "rewrite", OPTIONAL,
        "Path that the service gets, such as `/v2/${request.params.id}`; with a query, it replaces the request's."),
    FIELD_TEXT(struct route_config, host, "host", OPTIONAL,
               "Host that the service gets, instead of its own rule."),
    FIELD_MAP(struct route_config, subset, "subset", OPTIONAL, &field_item_text_pair, 0,
              "Only endpoints with these labels, which the service's `balance.subset` names."),
    FIELD_NODE(struct route_config, respond, "respond", OPTIONAL, "{\"$ref\":\"#/$defs/policy-respond\"}",
               "Answer here: the configuration of the policy `respond`, after all other policies."),
    FIELD_NODE(
        struct route_config, redirect, "redirect", OPTIONAL, "{\"$ref\":\"#/$defs/policy-redirect\"}",
        "Answer with a redirect: the configuration of the policy `redirect`, after all other policies."),
    FIELD_BOOL(struct route_config, websocket, "websocket", "true",
               "Pass requests to upgrade the connection (WebSocket)."),
    FIELD_BOOL(
        struct route_config, client_certificate, "client_certificate", "false",
        "Answer 403 unless the client has shown a certificate that the listener's `tls.client.ca` vouches for."),
    FIELD_STRUCT(struct route_config, timeouts, "timeouts", "{}", timeouts_fields, "Timeouts of this route."),
    FIELD_STRUCT(struct route_config, limits, "limits", "{}", limits_fields, "Limits of this route."),
    FIELD_MAP(struct route_config, labels, "labels", "{}", &field_item_text_pair, 0,
              "Names and values for people and expressions (`route.labels`), and for the access log."),
    FIELD_BOOL(struct route_config, enabled, "enabled", "true",
               "`false` leaves the route out, but still checks it."),
    FIELD_NODE(struct route_config, policies, "policies", OPTIONAL, "{\"$ref\":\"#/$defs/policies\"}",
               "Policies of this route."),
    FIELD_CHOICE(struct route_config, order, "order", "stages", order_choices,
                 "`written` runs `policies` exactly in their order."),
    FIELD_END,
};
