/* Why a condition does not hold, in words: for explain. */
#include "base/check.h"
#include "proxy/connection.h"
#include "proxy/condition.h"

static struct text one_of(const struct condition *condition, struct arena *arena)
{
    struct text list = TEXT("");
    for (size_t i = 0; i < condition->values_count; i++)
        list = arena_format(arena, "%.*s%s`%.*s`", TEXT_ARGS(list), i ? ", " : "",
                            TEXT_ARGS(condition->values[i]));
    return list;
}

/* "header `x-a` is not `1`": what the test wants. */
static struct text test_words(const struct condition *condition, struct arena *arena)
{
    switch ((enum condition_test)condition->test) {
    case TEST_PRESENT: return TEXT("be there");
    case TEST_ABSENT: return TEXT("be absent");
    case TEST_ONE_OF:
        return arena_format(arena, "be %s%.*s", condition->values_count > 1 ? "one of " : "",
                            TEXT_ARGS(one_of(condition, arena)));
    case TEST_PREFIX: return arena_format(arena, "begin with `%.*s`", TEXT_ARGS(condition->values[0]));
    case TEST_REGEX: return TEXT("fit its regular expression");
    }
    UNREACHABLE();
}

static struct text say_text(const struct condition *condition, struct arena *arena)
{
    const char *kind = condition->kind == CONDITION_HEADER  ? "header"
                       : condition->kind == CONDITION_QUERY ? "query parameter"
                                                            : "cookie";
    return arena_format(arena, "its condition on %s `%.*s` does not hold: it must %s%.*s", kind,
                        TEXT_ARGS(condition->name), condition->negated ? "not " : "",
                        TEXT_ARGS(test_words(condition, arena)));
}

static struct text say_address(const struct condition *condition, const char *which,
                               const struct address *address, struct arena *arena)
{
    char text[ADDRESS_TEXT_SIZE] = "";
    size_t size =
        condition->kind == CONDITION_LOCAL ? address_write(address, text) : address_write_ip(address, text);
    return arena_format(arena, "the %s address %.*s is %s", which, (int)size, text,
                        condition->negated ? "one that it excludes" : "not in its networks");
}

static struct text say_capture(const struct condition *condition, const struct exchange *ex,
                               struct arena *arena)
{
    static const char *const types[] = {"text", "an int", "a uuid", "what its regular expression takes"};
    return arena_format(arena, "its capture `%.*s` wants %s, got `%.*s`", TEXT_ARGS(condition->name),
                        types[condition->capture.type],
                        TEXT_ARGS(capture_value(&condition->capture, ex->request.path)));
}

static struct text say_content_type(const struct condition *condition, const struct exchange *ex,
                                    struct arena *arena)
{
    struct text type = fields_get_known(&ex->request.fields, NAME_CONTENT_TYPE);
    if (!type.at)
        return TEXT("the request has no content type");
    return arena_format(arena, "the content type `%.*s` is %s %.*s", TEXT_ARGS(type),
                        condition->negated ? "excluded by" : "none of", TEXT_ARGS(one_of(condition, arena)));
}

static struct text say_expression(const struct condition *condition, enum condition_result result,
                                  const struct expr_error *error, struct arena *arena)
{
    struct text source = expr_source(condition->expression);
    if (result == CONDITION_OPEN)
        return arena_format(arena, "its expression needs the request body, which is not given: %.*s",
                            TEXT_ARGS(source));
    if (result == CONDITION_FAULT)
        return arena_format(arena, "its expression failed: %s: %.*s", error->said, TEXT_ARGS(source));
    return arena_format(arena, "its expression is %s: %.*s", condition->negated ? "true" : "false",
                        TEXT_ARGS(source));
}

static struct text say_listed(const struct condition *condition, const char *what, struct text value,
                              struct arena *arena)
{
    return arena_format(arena, "the %s `%.*s` is %s %.*s", what, TEXT_ARGS(value),
                        condition->negated ? "excluded by" : "none of", TEXT_ARGS(one_of(condition, arena)));
}

struct text condition_why_not(const struct condition *condition, struct match_subject *subject,
                              enum condition_result result, const struct expr_error *error)
{
    struct exchange *ex = subject->exchange;
    struct arena *arena = &ex->arena;
    switch ((enum condition_kind)condition->kind) {
    case CONDITION_METHOD:
        return arena_format(arena, "it excludes the method %.*s", TEXT_ARGS(ex->request.method_text));
    case CONDITION_LISTENER:
        return say_listed(condition, "listener", ex->connection->listener->config->name, arena);
    case CONDITION_SCHEME: return say_listed(condition, "scheme", ex->request.scheme, arena);
    case CONDITION_SNI:
        return arena_format(arena, "the server name `%.*s` of its handshake is %s",
                            TEXT_ARGS(subject->server_name),
                            condition->negated ? "one that it excludes" : "none of its names");
    case CONDITION_CLIENT: return say_address(condition, "client", &ex->client_address, arena);
    case CONDITION_LOCAL: return say_address(condition, "local", &subject->local, arena);
    case CONDITION_CAPTURE: return say_capture(condition, ex, arena);
    case CONDITION_HEADER:
    case CONDITION_QUERY:
    case CONDITION_COOKIE: return say_text(condition, arena);
    case CONDITION_CONTENT_TYPE: return say_content_type(condition, ex, arena);
    case CONDITION_TIME:
        return condition->negated ? TEXT("it is within a time that it excludes")
                                  : TEXT("it is outside of its times");
    case CONDITION_HOST: return arena_format(arena, "it excludes the host %.*s", TEXT_ARGS(ex->request.host));
    case CONDITION_PATH: return arena_format(arena, "it excludes the path %.*s", TEXT_ARGS(ex->request.path));
    case CONDITION_EXPRESSION: return say_expression(condition, result, error, arena);
    case CONDITION_KINDS: break;
    }
    UNREACHABLE();
}
