/* The loop of turnpike expr --repl: reads, evaluates, prints. */
#include "cli/expr_repl.h"

#include <string.h>

#include "base/check.h"
#include "cli/cli.h"

enum { ARENA_BYTES_MAX = 256 << 20, SOURCE_BYTES_MAX = 1 << 20 };

struct repl {
    struct session *session;
    struct repl_lines *lines;
    struct arena arena; /* of one line */
    bool json, edited, failed, ended;
};

/* The part of `source` that a person sees the caret under: the line of the error. */
static void print_caret(FILE *to, struct text source, const struct expr_error *error)
{
    for (uint32_t line = 1; line < error->line; line++)
        (void)text_split(&source, '\n');
    struct text shown = text_split(&source, '\n');
    fprintf(to, "  %.*s\n  ", TEXT_ARGS(shown));
    uint32_t column = 1;
    for (size_t i = 0; i < shown.size && column < error->column; i++) {
        bool starts = ((unsigned char)shown.at[i] & 0xc0) != 0x80; /* of a character */
        bool next_starts = i + 1 == shown.size || ((unsigned char)shown.at[i + 1] & 0xc0) != 0x80;
        if (starts)
            fputc(shown.at[i] == '\t' ? '\t' : ' ', to);
        column += next_starts;
    }
    fputs("^\n", to);
}

static void complain(struct repl *repl, struct text source, const struct expr_error *error)
{
    repl->failed = true;
    if (repl->json) {
        printf("{\"error\":{\"line\":%u,\"column\":%u,\"message\":", error->line, error->column);
        cli_print_json(stdout, text_of(error->said));
        puts("}}");
        return;
    }
    fflush(stdout); /* results before it come first */
    if (error->line)
        fprintf(stderr, "error: %u:%u: %s\n", error->line, error->column, error->said);
    else
        fprintf(stderr, "error: %s\n", error->said);
    if (error->line)
        print_caret(stderr, source, error);
}

static void complain_of(struct repl *repl, const char *said)
{
    struct expr_error error = {0, 0, ""};
    snprintf(error.said, sizeof error.said, "%s", said);
    complain(repl, TEXT(""), &error);
}

static void evaluate(struct repl *repl, struct text source)
{
    struct expr_error error;
    struct value value;
    if (!session_evaluate(repl->session, source, &repl->arena, &value, &error))
        complain(repl, source, &error);
    else if (!session_print(value, repl->json, &repl->arena))
        complain_of(repl, "the result is too large to print");
}

static void command_type(struct repl *repl, struct text source)
{
    struct expr_error error;
    const struct expr *expr = session_check(repl->session, source, &repl->arena, &error);
    if (expr)
        session_print_type(expr, repl->json);
    else
        complain(repl, source, &error);
}

static void command_let(struct repl *repl, struct text binding)
{
    struct expr_error error;
    size_t equals = text_find_char(binding, '=');
    if (!session_let(repl->session, binding, &error))
        complain(repl, equals == TEXT_NONE ? binding : text_slice(binding, equals + 1, binding.size), &error);
}

static void command_context(struct repl *repl, struct text path)
{
    struct error error;
    if (!path.size || text_equal(path, TEXT("-")))
        complain_of(repl, "wanted: :context FILE");
    else if (!session_load(repl->session, arena_copy(&repl->arena, path).at, &error))
        complain_of(repl, error.said);
}

static void command_help(struct repl *repl, struct text name)
{
    const char *near = NULL;
    char said[200];
    if (!name.size) {
        repl_print_commands(stdout);
        return;
    }
    if (repl_print_help(stdout, repl->session, name, &near))
        return;
    snprintf(said, sizeof said, "nothing is called '%.*s'%s%s%s", (int)MIN_OF(name.size, 80), name.at,
             near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    complain_of(repl, said);
}

static void command_functions(struct repl *repl, struct text unused)
{
    (void)repl, (void)unused;
    repl_print_functions(stdout);
}

static void command_attributes(struct repl *repl, struct text unused)
{
    (void)unused;
    repl_print_attributes(stdout, repl->session);
}

static void command_quit(struct repl *repl, struct text unused)
{
    (void)unused;
    repl->ended = true;
}

static void run_command(struct repl *repl, struct text line)
{
    static const struct {
        const char *name;
        void (*run)(struct repl *repl, struct text rest);
    } commands[] = {
        {"help", command_help},
        {"functions", command_functions},
        {"attributes", command_attributes},
        {"type", command_type},
        {"let", command_let},
        {"context", command_context},
        {"quit", command_quit},
    };
    size_t end = text_find_char(line, ' ');
    struct text name = text_slice(line, 0, end),
                rest = end == TEXT_NONE ? TEXT("") : text_trim(text_slice(line, end, line.size));
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        if (text_equal(name, text_of(commands[i].name))) {
            commands[i].run(repl, rest);
            return;
        }
    char said[120];
    snprintf(said, sizeof said, "unknown command ':%.*s'; :help lists them", (int)MIN_OF(name.size, 40),
             name.at);
    complain_of(repl, said);
}

/* The next line with those that go on with it. False: the input has ended. */
static bool next_source(struct repl *repl, struct text *ret_source)
{
    struct text line, source = {"", 0};
    while (repl_lines_next(repl->lines, &line)) {
        bool goes_on = line.size && line.at[line.size - 1] == '\\';
        struct text parts[] = {source, text_slice(line, 0, line.size - goes_on),
                               goes_on ? TEXT("\n") : TEXT("")};
        source = arena_join(&repl->arena, parts, 3);
        *ret_source = source;
        if (!goes_on || source.size > SOURCE_BYTES_MAX)
            return true;
    }
    return source.size > 0;
}

static void run(struct repl *repl)
{
    struct text source;
    while (!repl->ended && next_source(repl, &source)) {
        struct text line = text_trim(source);
        if (line.size && line.at[0] == ':')
            run_command(repl, text_slice(line, 1, line.size));
        else if (line.size)
            evaluate(repl, source);
        fflush(stdout);
        arena_reset(&repl->arena);
    }
}

int repl_run(struct session *session, bool json, const char *history_path)
{
    struct repl repl = {.session = session, .json = json, .lines = repl_lines_new(session, history_path)};
    if (!repl.lines) {
        fprintf(stderr, "turnpike expr: the terminal cannot be used\n");
        return CLI_BAD;
    }
    repl.edited = repl_lines_are_edited(repl.lines);
    arena_init(&repl.arena, 64 * 1024, ARENA_BYTES_MAX);
    if (repl.edited)
        puts("Expressions of Turnpike. :help says what can be asked, Tab completes, :quit ends.");
    run(&repl);
    arena_release(&repl.arena);
    repl_lines_free(repl.lines);
    return repl.failed && !repl.edited ? CLI_BAD : CLI_OK;
}
