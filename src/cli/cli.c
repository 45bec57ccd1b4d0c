/* Reading of options, --help, and what else subcommands share. */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"

enum { HELP_COLUMN = 24 };

int cli_misused(const struct cli_usage *usage, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "turnpike %s: ", usage->command);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\nTry: turnpike %s --help\n", usage->command);
    va_end(arguments);
    return CLI_USAGE;
}

const char *cli_near_miss(const char *given, const char *(*next)(const void *context, size_t i),
                          const void *context)
{
    struct text wanted = text_of(given);
    unsigned best_distance = wanted.size < 4 ? 2 : 3; /* one less at most */
    const char *best = NULL, *candidate;
    for (size_t i = 0; (candidate = next(context, i)); i++) {
        unsigned distance = text_distance(wanted, text_of(candidate), best_distance);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

static void print_option(char letter, const char *name, const char *value, const char *help)
{
    char left[128], short_form[8] = "    ";
    if (letter)
        snprintf(short_form, sizeof short_form, "-%c, ", letter);
    int size =
        snprintf(left, sizeof left, "  %s--%s%s%s", short_form, name, value ? " " : "", value ? value : "");
    printf("%-*s%s%s\n", HELP_COLUMN, left, size < HELP_COLUMN ? "" : "  ", help);
}

static void print_help(const struct cli_usage *usage, const struct cli_option *options)
{
    printf("Usage: turnpike %s [OPTION]...%s%s\n\n", usage->command, *usage->arguments ? " " : "",
           usage->arguments);
    printf("%c%s.\n",
           usage->summary[0] >= 'a' && usage->summary[0] <= 'z' ? usage->summary[0] - 0x20
                                                                : usage->summary[0],
           usage->summary + 1);
    if (usage->more)
        printf("\n%s", usage->more);
    printf("\nOptions:\n");
    for (const struct cli_option *option = options; option->name; option++)
        print_option(option->letter, option->name, option->value, option->help);
    print_option('h', "help", NULL, "print this");
}

static const char *option_name(const void *options_, size_t i)
{
    const struct cli_option *options = options_;
    size_t count = 0;
    while (options[count].name)
        count++;
    return i < count ? options[i].name : i == count ? "help" : NULL;
}

/* What is being read. */
struct reading {
    const struct cli_usage *usage;
    const struct cli_option *options;
    int argc, at; /* `at`: the next word */
    char **argv;
};

static int take(struct reading *reading, const struct cli_option *option, const char *shown,
                const char *value)
{
    if (option->flag) {
        if (value)
            return cli_misused(reading->usage, "option %s takes no value", shown);
        *option->flag = true;
        return CLI_GO;
    }
    if (!value && reading->at >= reading->argc)
        return cli_misused(reading->usage, "option %s needs a value: %s", shown, option->value);
    if (!value)
        value = reading->argv[reading->at++];
    if (option->text) {
        *option->text = value;
        return CLI_GO;
    }
    if (option->list->count == CLI_LIST_MAX)
        return cli_misused(reading->usage, "option %s is given more than %d times", shown, CLI_LIST_MAX);
    option->list->at[option->list->count++] = value;
    return CLI_GO;
}

static int read_long(struct reading *reading, const char *word)
{
    struct text rest = text_of(word + 2), name = text_split(&rest, '=');
    char shown[64];
    snprintf(shown, sizeof shown, "--%.*s", TEXT_ARGS(name));
    if (text_equal(name, TEXT("help"))) {
        print_help(reading->usage, reading->options);
        return CLI_OK;
    }
    for (const struct cli_option *option = reading->options; option->name; option++)
        if (text_equal(name, text_of(option->name)))
            return take(reading, option, shown, rest.at);
    const char *near = cli_near_miss(shown + 2, option_name, reading->options);
    if (near)
        return cli_misused(reading->usage, "unknown option %s; did you mean --%s?", shown, near);
    return cli_misused(reading->usage, "unknown option %s", shown);
}

static int read_letters(struct reading *reading, const char *word)
{
    for (const char *letter = word + 1; *letter; letter++) {
        char shown[3] = {'-', *letter, '\0'};
        const struct cli_option *option = reading->options;
        if (*letter == 'h') {
            print_help(reading->usage, reading->options);
            return CLI_OK;
        }
        while (option->name && option->letter != *letter)
            option++;
        if (!option->name)
            return cli_misused(reading->usage, "unknown option %s", shown);
        const char *value = option->flag || !letter[1] ? NULL : letter + 1;
        int status = take(reading, option, shown, value);
        if (status != CLI_GO || !option->flag)
            return status;
    }
    return CLI_GO;
}

/* While a command is described; it comes as far as cli_parse(). */
static struct {
    void (*visit)(const struct cli_usage *usage, const struct cli_option *options, void *context);
    void *context;
} description;

void cli_describe(const struct cli_command *command,
                  void (*visit)(const struct cli_usage *usage, const struct cli_option *options,
                                void *context),
                  void *context)
{
    static const struct cli_option no_options[] = {CLI_END};
    static const struct cli_usage help = {.command = "help",
                                          .arguments = "[COMMAND]",
                                          .summary = "print the list of commands, or the help of one"};
    description.visit = visit;
    description.context = context;
    if (command->run == cli_help)
        visit(&help, no_options, context); /* the only one that reads no options */
    else
        (void)command->run(1, (char *[]){(char *)command->name, NULL}); /* ends in cli_parse() */
    description.visit = NULL;
}

int cli_parse(const struct cli_usage *usage, const struct cli_option *options, int *argc, char **argv)
{
    if (description.visit) {
        description.visit(usage, options, description.context);
        return CLI_OK;
    }
    struct reading reading = {usage, options, *argc, 1, argv};
    int kept = 1;
    bool options_over = false;
    while (reading.at < reading.argc) {
        char *word = argv[reading.at++];
        int status = CLI_GO;
        if (options_over || word[0] != '-' || !word[1])
            argv[kept++] = word;
        else if (text_equal(text_of(word), TEXT("--")))
            options_over = true;
        else
            status = word[1] == '-' ? read_long(&reading, word) : read_letters(&reading, word);
        if (status != CLI_GO)
            return status;
    }
    *argc = kept;
    argv[kept] = NULL;
    if (kept - 1 < usage->arguments_min)
        return cli_misused(usage, "too few arguments; wanted: %s", usage->arguments);
    if (kept - 1 > usage->arguments_max)
        return cli_misused(usage, "unexpected argument \"%s\"", argv[usage->arguments_max + 1]);
    return CLI_GO;
}

void cli_print_json(FILE *to, struct text value)
{
    char piece[512];
    fputc('"', to);
    while (value.size > 0) {
        size_t taken = MIN_OF(value.size, sizeof piece / 6);
        while (taken < value.size && taken > 1 && ((unsigned char)value.at[taken] & 0xc0) == 0x80)
            taken--; /* not within a character */
        fwrite(piece, 1, log_escape_json(text_slice(value, 0, taken), piece, sizeof piece), to);
        value = text_slice(value, taken, value.size);
    }
    fputc('"', to);
}

const char *cli_config_path(const struct cli_usage *usage, const char *given)
{
    static const char *const usual[] = {"./turnpike.yaml", "/etc/turnpike/turnpike.yaml"};
    if (given)
        return given;
    for (size_t i = 0; i < COUNT_OF(usual); i++)
        if (access(usual[i], F_OK) == 0)
            return usual[i];
    fprintf(stderr, "turnpike %s: no configuration: neither %s nor %s exists; name a file with -c FILE\n",
            usage->command, usual[0], usual[1]);
    return NULL;
}
