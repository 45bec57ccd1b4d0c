/* The program: a table of subcommands. */
#include <stdio.h>

#include "base/check.h"
#include "base/text.h"
#include "cli/cli.h"
#include "tls/library.h"

struct command {
    const char *name;
    const char *summary; /* NULL: not listed; those come last */
    int (*run)(int argc, char **argv);
};

static int print_commands(int argc, char **argv);

static const struct command commands[] = {
    {"run", "run the gateway", cli_run},
    {"check", "check a configuration", cli_check},
    {"explain", "say what would happen to a request, and why", cli_explain},
    {"expr", "evaluate an expression", cli_expr},
    {"schema", "print the JSON Schema of the configuration", cli_schema},
    {"policies", "list the policies, or describe one", cli_policies},
    {"manual", "write the reference pages of the manual", cli_manual},
    {"version", "print the version, and those of the libraries", cli_version},
    {"help", "print this, or the help of a command", print_commands},
    {"gateway", NULL, cli_gateway},
};

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        if (text_equal(text_of(name), text_of(commands[i].name)))
            return &commands[i];
    return NULL;
}

static const char *command_name(const void *context, size_t i)
{
    (void)context;
    return i < COUNT_OF(commands) && commands[i].summary ? commands[i].name : NULL;
}

static int unknown(const char *name)
{
    const char *near = cli_near_miss(name, command_name, NULL);
    fprintf(stderr, "turnpike: unknown command \"%s\"", name);
    if (near)
        fprintf(stderr, "; did you mean \"%s\"?", near);
    fprintf(stderr, "\nTry: turnpike help\n");
    return CLI_USAGE;
}

static int print_commands(int argc, char **argv)
{
    const struct command *command = argc > 1 ? find(argv[1]) : NULL;
    if (argc > 1 && !command)
        return unknown(argv[1]);
    if (command && command->run != print_commands)
        return command->run(2, (char *[]){argv[1], (char *)"--help", NULL});
    printf("Usage: turnpike COMMAND [OPTION]... [ARGUMENT]...\n\nAn API gateway.\n\nCommands:\n");
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        if (commands[i].summary)
            printf("  %-12s%s\n", commands[i].name, commands[i].summary);
    printf("\nturnpike COMMAND --help says more about each.\n");
    return CLI_OK;
}

/* Output that did not arrive is a failure, as a full disk or a closed pipe makes it. */
static int finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    perror("turnpike: cannot write");
    return status == CLI_OK ? CLI_BAD : status;
}

int main(int argc, char **argv)
{
    tls_library_begin();
    if (argc < 2) {
        (void)print_commands(1, argv); /* cannot fail without arguments */
        return CLI_USAGE;
    }
    struct text word = text_of(argv[1]);
    if (text_equal(word, TEXT("--help")) || text_equal(word, TEXT("-h")))
        return finish(print_commands(1, argv));
    if (text_equal(word, TEXT("--version")))
        return finish(cli_version(1, (char *[]){argv[1], NULL}));
    const struct command *command = find(argv[1]);
    return command ? finish(command->run(argc - 1, argv + 1)) : unknown(argv[1]);
}
