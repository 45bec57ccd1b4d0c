/* turnpike expr: evaluates an expression on values from a JSON text. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/random.h"
#include "base/time.h"
#include "cli/cli.h"
#include "expr/expr.h"

enum {
    VARIABLES_MAX = 1000,
    CONTEXT_BYTES_MAX = 64 << 20,
    ARENA_BYTES_MAX = 256 << 20,
    STEPS_MAX = 10000000,
    EXIT_BAD = 1,
    EXIT_USAGE = 2,
};

static const char usage[] =
    "usage: turnpike expr EXPRESSION [--context FILE|-] [--let NAME=EXPRESSION]... [--json] [--check]\n"
    "\n"
    "Evaluates a CEL expression and prints the result as a literal.\n"
    "  --context FILE    a JSON object (- reads standard input) whose members become variables\n"
    "  --let NAME=EXPR   another variable; may use those before it\n"
    "  --json            prints {\"type\":...,\"value\":...}\n"
    "  --check           prints the type and the cost bound, and evaluates nothing\n"
    "  --functions       lists all functions\n"
    "Exit status: 0, 1 the expression is bad or fails, 2 usage.\n";

struct options {
    struct text source, context;
    struct text lets[VARIABLES_MAX];
    size_t lets_count;
    bool json, check, functions, has_source, has_context;
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
static bool variable_set(struct variables *variables, struct text name, struct value value, struct arena *arena)
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
    struct expr_run run = {
        .lookup = look_up, .context = variables, .arena = arena, .steps_max = STEPS_MAX, .now_ns = time_wall_ns()};
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
        return EXIT_BAD;
    }
    const char *type = expr_type_name(expr_result_type(expr));
    unsigned long long cost = expr_cost(expr);
    printf(json ? "{\"type\":\"%s\",\"cost\":%llu}\n" : "type %s\ncost %llu\n", type, cost);
    return 0;
}

static int print(struct value value, bool json, struct arena *arena)
{
    struct text written = json ? value_to_json(value, arena) : value_to_literal(value, arena);
    if (!written.size) {
        fprintf(stderr, "turnpike expr: the result is too large to print\n");
        return EXIT_BAD;
    }
    if (json)
        printf("{\"type\":\"%s\",\"value\":%.*s}\n", value_kind_name(value), TEXT_ARGS(written));
    else
        printf("%.*s\n", TEXT_ARGS(written));
    return 0;
}

static void print_function(void *context, const char *group, struct text signature, const char *about)
{
    const char **last = context;
    if (*last != group)
        printf("%s%s\n", *last ? "\n" : "", group);
    *last = group;
    printf("  %-60.*s %s\n", TEXT_ARGS(signature), about);
}

/* The value of an option that takes one: "--let X" or "--let=X". NULL: it is another option, or has none. */
static const char *option_value(int argc, char **argv, int *at, const char *name)
{
    size_t size = strlen(name);
    if (strncmp(argv[*at], name, size) != 0)
        return NULL;
    if (argv[*at][size] == '=')
        return argv[*at] + size + 1;
    return argv[*at][size] == 0 && *at + 1 < argc ? argv[++*at] : NULL;
}

static bool parse_option(int argc, char **argv, int *at, struct options *options)
{
    const char *value;
    if ((value = option_value(argc, argv, at, "--context"))) {
        options->context = text_of(value);
        options->has_context = true;
    } else if ((value = option_value(argc, argv, at, "--let"))) {
        if (!strchr(value, '=') || options->lets_count == VARIABLES_MAX)
            return false;
        options->lets[options->lets_count++] = text_of(value);
    } else if (!strcmp(argv[*at], "--json")) {
        options->json = true;
    } else if (!strcmp(argv[*at], "--check")) {
        options->check = true;
    } else if (!strcmp(argv[*at], "--functions")) {
        options->functions = true;
    } else {
        return false;
    }
    return true;
}

static bool parse_options(int argc, char **argv, struct options *options)
{
    bool only_words = false; /* after "--" */
    for (int i = 1; i < argc; i++) {
        if (!only_words && !strcmp(argv[i], "--")) {
            only_words = true;
        } else if (!only_words && !strncmp(argv[i], "--", 2)) {
            if (!parse_option(argc, argv, &i, options))
                return false;
        } else if (options->has_source) {
            return false;
        } else {
            options->source = text_of(argv[i]);
            options->has_source = true;
        }
    }
    return options->has_source || options->functions;
}

static int run(const struct options *options, struct variables *variables, struct arena *arena)
{
    struct value value;
    if (options->has_context && !load_context(variables, options->context, arena))
        return EXIT_BAD;
    for (size_t i = 0; i < options->lets_count; i++)
        if (!let(variables, options->lets[i], arena))
            return EXIT_BAD;
    if (options->check)
        return check(options->source, variables, options->json, arena);
    if (!evaluate(options->source, variables, "", arena, &value))
        return EXIT_BAD;
    return print(value, options->json, arena);
}

int cli_expr(int argc, char **argv)
{
    static struct options options; /* large; the command runs once */
    static struct variables variables;
    if (argc == 2 && !strcmp(argv[1], "--help")) {
        fputs(usage, stdout);
        return 0;
    }
    if (!parse_options(argc, argv, &options)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (options.functions) {
        const char *last = NULL;
        expr_functions_each(print_function, &last);
        return 0;
    }
    random_init();
    struct arena arena;
    arena_init(&arena, 64 * 1024, ARENA_BYTES_MAX);
    int status = run(&options, &variables, &arena);
    arena_release(&arena);
    return status;
}
