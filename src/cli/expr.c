/* turnpike expr: evaluates an expression on values from a JSON text. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/time.h"
#include "cli/cli.h"
#include "expr/expr.h"

enum {
    VARIABLES_MAX = 1000,
    CONTEXT_BYTES_MAX = 64 << 20,
    ARENA_BYTES_MAX = 256 << 20,
    STEPS_MAX = 10000000,
};

static const struct cli_usage usage = {
    .command = "expr",
    .arguments = "EXPRESSION",
    .summary = "evaluate an expression (CEL) and print the result as a literal",
    .more =
        "Variables come from the context and from --let; one may use those before it. Types are checked as the\n"
        "expression runs; --check checks them as a configuration does.\n",
    .arguments_min = 0, /* none with --functions; and an expression may begin with a minus sign */
    .arguments_max = 1,
};

struct settings {
    const char *source, *context;
    struct cli_list lets;
    bool json, check, functions;
};

/* The variables that an expression may use, and their values. */
struct variables {
    struct expr_attribute attributes[VARIABLES_MAX];
    struct value values[VARIABLES_MAX];
    size_t count;
};

static bool look_up(void *context, uint16_t id, struct arena *arena, struct value *ret_value)
{
    (void)arena; /* nothing is made */
    *ret_value = ((struct variables *)context)->values[id];
    return true;
}

/* A later variable of the same name replaces an earlier one. False: too many, or no memory. */
static bool variable_set(struct variables *variables, struct text name, struct value value,
                         struct arena *arena)
{
    size_t at = 0;
    while (at < variables->count && !text_equal(text_of(variables->attributes[at].name), name))
        at++;
    struct text copy = arena_copy(arena, name);
    if (at == VARIABLES_MAX || arena->failed)
        return false;
    variables->attributes[at] = (struct expr_attribute){
        .name = copy.at, .type = EXPR_DYN, .item = EXPR_DYN, .id = (uint16_t)at, .about = "a variable"};
    variables->values[at] = value;
    variables->count += at == variables->count;
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

static bool load_context(struct variables *variables, struct text path, struct arena *arena)
{
    bool is_input = text_equal(path, TEXT("-"));
    int fd = is_input ? STDIN_FILENO : open(path.at, O_RDONLY | O_CLOEXEC);
    struct text json = {NULL, 0};
    int code = fd < 0 ? -errno : read_all(fd, arena, &json);
    if (fd >= 0 && !is_input)
        close(fd);
    if (code < 0) {
        fprintf(stderr, "turnpike expr: %s: %s\n", path.at, strerror(-code));
        return false;
    }
    struct error error;
    struct value root, key, value;
    if (!value_from_json(json, arena, &root, &error)) {
        fprintf(stderr, "turnpike expr: %s: %s\n", path.at, error.said);
        return false;
    }
    if (root.kind != VALUE_MAP) {
        fprintf(stderr, "turnpike expr: %s: not a JSON object\n", path.at);
        return false;
    }
    for (size_t cursor = 0; root.map->next(root.map, &cursor, arena, &key, &value);)
        if (!variable_set(variables, key.text, value, arena)) {
            fprintf(stderr, "turnpike expr: %s: more than %d members\n", path.at, VARIABLES_MAX);
            return false;
        }
    return true;
}

static bool complain(const char *where, const struct expr_error *error)
{
    fprintf(stderr, "turnpike expr: %s%u:%u: %s\n", where, error->line, error->column, error->said);
    return false;
}

/* Compiles and evaluates; `where` stands before positions in messages. */
static bool evaluate(struct text source, struct variables *variables, const char *where, struct arena *arena,
                     struct value *ret_value)
{
    struct expr_environment environment = {variables->attributes, variables->count, .unchecked = true};
    struct expr_error error = {1, 1, "out of memory"};
    const struct expr *expr = expr_compile(arena, source, &environment, EXPR_DYN, &error);
    struct expr_run run = {.lookup = look_up,
                           .context = variables,
                           .arena = arena,
                           .steps_max = STEPS_MAX,
                           .now_ns = time_wall_ns()};
    return (expr && expr_eval(expr, &run, ret_value, &error)) || complain(where, &error);
}

static bool let(struct variables *variables, struct text binding, struct arena *arena)
{
    size_t equals = text_find_char(binding, '=');
    struct text name = text_slice(binding, 0, equals);
    char where[64];
    struct value value;
    snprintf(where, sizeof where, "--let %.*s: ", (int)(name.size < 40 ? name.size : 40), name.at);
    return evaluate(text_slice(binding, equals + 1, binding.size), variables, where, arena, &value)
           && variable_set(variables, name, value, arena);
}

static int check(struct text source, const struct variables *variables, bool json, struct arena *arena)
{
    struct expr_environment environment = {variables->attributes, variables->count, .unchecked = false};
    struct expr_error error = {1, 1, "out of memory"};
    const struct expr *expr = expr_compile(arena, source, &environment, EXPR_DYN, &error);
    if (!expr) {
        complain("", &error);
        return CLI_BAD;
    }
    const char *type = expr_type_name(expr_result_type(expr));
    unsigned long long cost = expr_cost(expr);
    if (json)
        printf("{\"type\":\"%s\",\"cost\":%llu}\n", type, cost);
    else
        printf("type %s\ncost %llu\n", type, cost);
    return CLI_OK;
}

static int print(struct value value, bool json, struct arena *arena)
{
    struct text written = json ? value_to_json(value, arena) : value_to_literal(value, arena);
    if (!written.size) {
        fprintf(stderr, "turnpike expr: the result is too large to print\n");
        return CLI_BAD;
    }
    if (json)
        printf("{\"type\":\"%s\",\"value\":%.*s}\n", value_kind_name(value), TEXT_ARGS(written));
    else
        printf("%.*s\n", TEXT_ARGS(written));
    return CLI_OK;
}

static void print_function(void *context, const struct expr_function *function)
{
    const char **last = context;
    if (*last != function->group)
        printf("%s%s\n", *last ? "\n" : "", function->group);
    *last = function->group;
    printf("  %-60.*s %s\n", TEXT_ARGS(function->signature), function->about);
}

/* An expression such as "-1 + x" or "-(2)" is no option: takes it out of the words. NULL: there is none. */
static const char *take_negative(int *argc, char **argv)
{
    for (int i = 1; i < *argc; i++) {
        const char *behind = argv[i] + strspn(argv[i], "-");
        if (argv[i][0] != '-' || !*behind || char_is_alpha(*behind))
            continue;
        const char *source = argv[i];
        memmove(argv + i, argv + i + 1,
                (size_t)(*argc - i) * sizeof *argv); /* the NULL at the end moves too */
        --*argc;
        return source;
    }
    return NULL;
}

static int run(const struct settings *settings, struct variables *variables, struct arena *arena)
{
    struct value value;
    struct text source = text_of(settings->source);
    if (settings->context && !load_context(variables, text_of(settings->context), arena))
        return CLI_BAD;
    for (size_t i = 0; i < settings->lets.count; i++)
        if (!let(variables, text_of(settings->lets.at[i]), arena))
            return CLI_BAD;
    if (settings->check)
        return check(source, variables, settings->json, arena);
    if (!evaluate(source, variables, "", arena, &value))
        return CLI_BAD;
    return print(value, settings->json, arena);
}

static int read_settings(int argc, char **argv, struct settings *settings)
{
    const struct cli_option options[] = {
        CLI_TEXT('c', "context", "FILE", "a JSON object whose members become variables; -: standard input",
                 &settings->context),
        CLI_LIST('l', "let", "NAME=EXPRESSION", "another variable; may be given several times",
                 &settings->lets),
        CLI_FLAG(0, "check", "print the type and the cost bound, evaluate nothing", &settings->check),
        CLI_FLAG(0, "functions", "list all functions", &settings->functions),
        CLI_JSON(&settings->json),
        CLI_END,
    };
    settings->source = take_negative(&argc, argv);
    int status = cli_parse(&usage, options, &argc, argv);
    if (status != CLI_GO)
        return status;
    if (argc == 2 && settings->source)
        return cli_misused(&usage, "unexpected argument \"%s\"", argv[1]);
    if (argc == 2)
        settings->source = argv[1];
    if (!settings->source && !settings->functions)
        return cli_misused(&usage, "too few arguments; wanted: %s", usage.arguments);
    for (size_t i = 0; i < settings->lets.count; i++)
        if (!strchr(settings->lets.at[i], '='))
            return cli_misused(&usage, "--let wants NAME=EXPRESSION, not \"%s\"", settings->lets.at[i]);
    return CLI_GO;
}

int cli_expr(int argc, char **argv)
{
    static struct variables variables; /* large; the command runs once */
    struct settings settings = {0};
    int status = read_settings(argc, argv, &settings);
    if (status != CLI_GO)
        return status;
    if (settings.functions) {
        const char *last = NULL;
        expr_functions_each(print_function, &last);
        return CLI_OK;
    }
    struct arena arena;
    arena_init(&arena, 64 * 1024, ARENA_BYTES_MAX);
    status = run(&settings, &variables, &arena);
    arena_release(&arena);
    return status;
}
