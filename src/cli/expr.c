/* turnpike expr: evaluates an expression on values from a JSON text, or expressions line by line. */
#include <string.h>

#include "base/check.h"
#include "cli/cli.h"
#include "cli/expr_repl.h"
#include "cli/expr_session.h"

static const struct cli_usage usage = {
    .command = "expr",
    .arguments = "EXPRESSION",
    .summary = "evaluate an expression (CEL) and print the result as a literal",
    .more =
        "Variables come from the context and from --let; one may use those before it. Types are checked as the\n"
        "expression runs; --check checks them as a configuration does, with the attributes of the gateway.\n"
        "--repl takes expressions line by line; :help there says what else it takes.\n",
    .arguments_min = 0, /* none with --functions or --repl; and an expression may begin with a minus sign */
    .arguments_max = 1,
};

struct settings {
    const char *source, *context, *history;
    struct cli_list lets;
    bool json, check, functions, repl;
};

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

static int complain(const char *where, const struct expr_error *error)
{
    if (error->line)
        fprintf(stderr, "turnpike expr: %s%u:%u: %s\n", where, error->line, error->column, error->said);
    else
        fprintf(stderr, "turnpike expr: %s%s\n", where, error->said);
    return CLI_BAD;
}

/* Loads what the options name; CLI_GO, or the status to end with. */
static int prepare(const struct settings *settings, struct session *session)
{
    struct error error;
    struct expr_error why;
    char where[64];
    if (settings->context && !session_load(session, settings->context, &error)) {
        fprintf(stderr, "turnpike expr: %s\n", error.said);
        return CLI_BAD;
    }
    for (size_t i = 0; i < settings->lets.count; i++) {
        struct text binding = text_of(settings->lets.at[i]),
                    name = text_slice(binding, 0, text_find_char(binding, '='));
        if (session_let(session, binding, &why))
            continue;
        snprintf(where, sizeof where, "--let %.*s: ", (int)MIN_OF(name.size, 40), name.at);
        return complain(where, &why);
    }
    return CLI_GO;
}

static int evaluate(const struct settings *settings, struct session *session)
{
    struct expr_error error;
    struct value value;
    struct text source = text_of(settings->source);
    if (settings->check) {
        const struct expr *expr = session_check(session, source, &session->arena, &error);
        if (!expr)
            return complain("", &error);
        session_print_type(expr, settings->json);
        return CLI_OK;
    }
    if (!session_evaluate(session, source, &session->arena, &value, &error))
        return complain("", &error);
    if (session_print(value, settings->json, &session->arena))
        return CLI_OK;
    fprintf(stderr, "turnpike expr: the result is too large to print\n");
    return CLI_BAD;
}

/* What fits together. CLI_GO, or the status to end with. */
static int judge(const struct settings *settings)
{
    bool alone = settings->functions || settings->repl;
    if (!settings->source && !alone)
        return cli_misused(&usage, "too few arguments; wanted: %s", usage.arguments);
    if (settings->source && alone)
        return cli_misused(&usage, "unexpected argument \"%s\"", settings->source);
    if (settings->history && !settings->repl)
        return cli_misused(&usage, "--history goes with --repl");
    if (settings->repl && settings->context && !strcmp(settings->context, "-"))
        return cli_misused(&usage, "--repl reads standard input itself; the context must be a file");
    for (size_t i = 0; i < settings->lets.count; i++)
        if (!strchr(settings->lets.at[i], '='))
            return cli_misused(&usage, "--let wants NAME=EXPRESSION, not \"%s\"", settings->lets.at[i]);
    return CLI_GO;
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
        CLI_FLAG(0, "repl", "take expressions line by line, with editing and completion on a terminal",
                 &settings->repl),
        CLI_TEXT(0, "history", "FILE", "with --repl: where lines are kept from one time to the next",
                 &settings->history),
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
    return judge(settings);
}

int cli_expr(int argc, char **argv)
{
    static struct session session; /* large; the command runs once */
    struct settings settings = {0};
    int status = read_settings(argc, argv, &settings);
    if (status != CLI_GO)
        return status;
    if (settings.functions) {
        repl_print_functions(stdout);
        return CLI_OK;
    }
    session_init(&session);
    status = prepare(&settings, &session);
    if (status == CLI_GO)
        status = settings.repl ? repl_run(&session, settings.json, settings.history)
                               : evaluate(&settings, &session);
    session_release(&session);
    return status;
}
