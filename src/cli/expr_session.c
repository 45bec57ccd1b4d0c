/* Variables, and what is evaluated with them. */
#include "cli/expr_session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/time.h"
#include "proxy/exchange.h"

enum { CONTEXT_BYTES_MAX = 64 << 20, ARENA_BYTES_MAX = 256 << 20, STEPS_MAX = 10000000 };

void session_init(struct session *session)
{
    session->count = 0;
    arena_init(&session->arena, 64 * 1024, ARENA_BYTES_MAX);
}

void session_release(struct session *session)
{
    arena_release(&session->arena);
}

static bool look_up(void *context, uint16_t id, struct arena *arena, struct value *ret_value)
{
    const struct session *session = context;
    (void)arena; /* nothing is made */
    if (id >= session->count)
        return false;
    *ret_value = session->values[id];
    return true;
}

/* False: too many, or no memory. */
static bool set(struct session *session, struct text name, struct value value)
{
    size_t at = 0;
    while (at < session->count && !text_equal(text_of(session->attributes[at].name), name))
        at++;
    struct text copy = arena_copy(&session->arena, name);
    if (at == SESSION_VARIABLES_MAX || session->arena.failed)
        return false;
    session->attributes[at] = (struct expr_attribute){
        .name = copy.at, .type = EXPR_DYN, .item = EXPR_DYN, .id = (uint16_t)at, .about = "A variable."};
    session->values[at] = value;
    session->count += at == session->count;
    return true;
}

static int read_all(int fd, struct arena *arena, struct text *ret_text)
{
    size_t room = 64 * 1024, size = 0;
    char *to = arena_alloc(arena, room);
    for (;;) {
        if (!to || size > CONTEXT_BYTES_MAX)
            return -EFBIG;
        ssize_t count = read(fd, to + size, room - size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            *ret_text = (struct text){to, size};
            return count < 0 ? -errno : 0;
        }
        size += (size_t)count;
        if (size < room)
            continue;
        char *larger = arena_alloc(arena, 2 * room);
        if (larger)
            memcpy(larger, to, size);
        to = larger;
        room *= 2;
    }
}

bool session_load(struct session *session, const char *path, struct error *reterr)
{
    struct arena *arena = &session->arena;
    bool is_input = !strcmp(path, "-");
    int fd = is_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct text json = {NULL, 0};
    int code = fd < 0 ? -errno : read_all(fd, arena, &json);
    if (fd >= 0 && !is_input)
        close(fd);
    if (code < 0)
        return error_system(reterr, code, "%s", path), false;
    struct error why;
    struct value root, key, value;
    if (!value_from_json(json, arena, &root, &why))
        return error_set(reterr, 0, "%s: %.200s", path, why.said), false;
    if (root.kind != VALUE_MAP)
        return error_set(reterr, 0, "%s: not a JSON object", path), false;
    for (size_t cursor = 0; root.map->next(root.map, &cursor, arena, &key, &value);)
        if (!set(session, key.text, value))
            return error_set(reterr, 0, "%s: more than %d members", path, SESSION_VARIABLES_MAX), false;
    return true;
}

/* Whether a variable is the root of an attribute's name: "request" of "request.path". */
static bool is_covered(const struct session *session, const char *attribute)
{
    for (size_t i = 0; i < session->count; i++) {
        struct text name = text_of(session->attributes[i].name);
        if (text_starts_with(text_of(attribute), name)
            && (attribute[name.size] == '.' || attribute[name.size] == 0))
            return true;
    }
    return false;
}

/* The variables and, behind them, the attributes of the gateway: all, or without types those that no variable covers. */
static struct expr_environment environment_of(struct session *session, bool checked)
{
    size_t count = session->count;
    for (size_t i = 0; i < exchange_environment.count && count < SESSION_ATTRIBUTES_MAX; i++) {
        struct expr_attribute attribute = exchange_environment.attributes[i];
        if (is_covered(session, attribute.name))
            continue;
        if (!checked)
            attribute.type = attribute.item = EXPR_DYN;
        attribute.id = UINT16_MAX; /* beyond the variables: no value */
        session->attributes[count++] = attribute;
    }
    return (struct expr_environment){session->attributes, count, .unchecked = !checked};
}

const struct expr *session_check(struct session *session, struct text source, struct arena *arena,
                                 struct expr_error *reterr)
{
    struct expr_environment environment = environment_of(session, true);
    *reterr = (struct expr_error){1, 1, "out of memory"};
    return expr_compile(arena, source, &environment, EXPR_DYN, reterr);
}

bool session_evaluate(struct session *session, struct text source, struct arena *arena,
                      struct value *ret_value, struct expr_error *reterr)
{
    struct expr_environment environment = environment_of(session, false);
    *reterr = (struct expr_error){1, 1, "out of memory"};
    const struct expr *expr = expr_compile(arena, source, &environment, EXPR_DYN, reterr);
    struct expr_run run = {.lookup = look_up,
                           .context = session,
                           .arena = arena,
                           .steps_max = STEPS_MAX,
                           .now_ns = time_wall_ns()};
    return expr && expr_eval(expr, &run, ret_value, reterr);
}

/* "name" or "some.name" */
static bool is_name(struct text name)
{
    bool start = true;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.at[i];
        if (c == '.' ? start : !(char_is_alpha(c) || c == '_' || (char_is_digit(c) && !start)))
            return false;
        start = c == '.';
    }
    return name.size && !start;
}

bool session_let(struct session *session, struct text binding, struct expr_error *reterr)
{
    size_t equals = text_find_char(binding, '=');
    struct text name = text_trim(text_slice(binding, 0, equals));
    struct value value;
    if (equals == TEXT_NONE || !is_name(name)) {
        *reterr = (struct expr_error){0, 0, "wanted: NAME=EXPRESSION"};
        return false;
    }
    if (!session_evaluate(session, text_slice(binding, equals + 1, binding.size), &session->arena, &value,
                          reterr))
        return false;
    *reterr = (struct expr_error){0, 0, "too many variables"};
    return set(session, name, value);
}

bool session_print(struct value value, bool json, struct arena *arena)
{
    struct text written = json ? value_to_json(value, arena) : value_to_literal(value, arena);
    if (!written.size)
        return false;
    if (json)
        printf("{\"type\":\"%s\",\"value\":%.*s}\n", value_kind_name(value), TEXT_ARGS(written));
    else
        printf("%.*s\n", TEXT_ARGS(written));
    return true;
}

void session_print_type(const struct expr *expr, bool json)
{
    char type[64];
    unsigned long long cost = expr_cost(expr);
    expr_result_type_write(expr, type);
    if (json)
        printf("{\"type\":\"%s\",\"cost\":%llu}\n", type, cost);
    else
        printf("type %s\ncost %llu\n", type, cost);
}
