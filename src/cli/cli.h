/* The command line: one function per subcommand, and the reading of options that they share.
 *
 * A subcommand describes its options in a table, from which both the reading and `--help` come:
 *
 *     struct settings { const char *config; bool json; } settings = {0};
 *     const struct cli_option options[] = {
 *         CLI_TEXT('c', "config", "FILE", "the configuration", &settings.config),
 *         CLI_JSON(&settings.json),
 *         CLI_END,
 *     };
 *     int status = cli_parse(&usage, options, &argc, argv);
 *     if (status != CLI_GO)
 *         return status;
 *
 * Exit status: 0 success, 1 the thing asked about is bad, 2 usage. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/text.h"

enum { CLI_GO = -1, CLI_OK = 0, CLI_BAD = 1, CLI_USAGE = 2, CLI_LIST_MAX = 64 };

/* argv[0] is the subcommand's name. Each returns the exit status. */
int cli_run(int argc, char **argv);
int cli_gateway(int argc, char **argv); /* not listed: what the supervisor starts */
int cli_check(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_expr(int argc, char **argv);
int cli_manual(int argc, char **argv);
int cli_schema(int argc, char **argv);
int cli_policies(int argc, char **argv);
int cli_health(int argc, char **argv);
int cli_completion(int argc, char **argv);
int cli_version(int argc, char **argv);
int cli_help(int argc, char **argv);

struct cli_command {
    const char *name;
    const char *summary; /* NULL: not listed; those come last */
    int (*run)(int argc, char **argv);
};
extern const struct cli_command cli_commands[];
extern const size_t cli_commands_count;

const struct cli_command *cli_command_find(const char *name); /* NULL: there is none */
int cli_command_unknown(const char *name); /* says so on standard error; returns CLI_USAGE */

/* Values of an option that may be given several times, in order. */
struct cli_list {
    const char *at[CLI_LIST_MAX];
    size_t count;
};

struct cli_option {
    char letter;       /* 0: only the long form */
    const char *name;  /* long form, without dashes; NULL ends the table */
    const char *value; /* what --help calls the value; NULL for a flag */
    const char *help;
    bool *flag; /* exactly one of these three */
    const char **text;
    struct cli_list *list;
};

#define CLI_FLAG(letter_, name_, help_, to)                                                                  \
    {                                                                                                        \
        .letter = (letter_), .name = (name_), .help = (help_), .flag = (to)                                  \
    }
#define CLI_TEXT(letter_, name_, value_, help_, to)                                                          \
    {                                                                                                        \
        (letter_), (name_), (value_), (help_), .text = (to)                                                  \
    }
#define CLI_LIST(letter_, name_, value_, help_, to)                                                          \
    {                                                                                                        \
        (letter_), (name_), (value_), (help_), .list = (to)                                                  \
    }
#define CLI_JSON(to) CLI_FLAG(0, "json", "print JSON, for programs", (to))
#define CLI_END                                                                                              \
    {                                                                                                        \
        .name = NULL                                                                                         \
    }

struct cli_usage {
    const char *command;
    const char *arguments; /* "FILE", "METHOD URL"; "" for none */
    const char *summary;   /* as in the list of commands: no capital, no full stop */
    const char *more;      /* further lines for --help, or NULL */
    int arguments_min, arguments_max;
};

/* Reads options, which may stand anywhere before "--": -c FILE, -cFILE, --config FILE, --config=FILE; letters of flags may be joined. Leaves
 * argv[0] and the arguments that are no options in argv and their number in *argc. CLI_GO, or the status to return at once: CLI_OK after
 * --help, CLI_USAGE after saying on standard error what is wrong. "-" is an argument. */
int cli_parse(const struct cli_usage *usage, const struct cli_option *options, int *argc, char **argv);

/* Calls `visit` with what a command says of itself, instead of running it; its tables live as long as the call. */
void cli_describe(const struct cli_command *command,
                  void (*visit)(const struct cli_usage *usage, const struct cli_option *options,
                                void *context),
                  void *context);

/* Says on standard error "turnpike COMMAND: ..." and where help is; returns CLI_USAGE. */
int cli_misused(const struct cli_usage *usage, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The candidate that `given` was most likely meant to be, or NULL. `next` gives the candidates, NULL at the end. */
const char *cli_near_miss(const char *given, const char *(*next)(const void *context, size_t i),
                          const void *context);

/* A string as a JSON value with its quotes. */
void cli_print_json(FILE *to, struct text value);

/* The configuration file: `given` (-c), else ./turnpike.yaml, else /etc/turnpike/turnpike.yaml. NULL after saying on standard error that there
 * is none. */
const char *cli_config_path(const struct cli_usage *usage, const char *given);
