/* The table of subcommands, and what is said about all of them. */
#include <string.h>

#include "base/check.h"
#include "cli/cli.h"

const struct cli_command cli_commands[] = {
    {"run", "run the gateway", cli_run},
    {"check", "check a configuration", cli_check},
    {"explain", "say what would happen to a request, and why", cli_explain},
    {"health", "ask a running gateway whether it takes requests", cli_health},
    {"expr", "evaluate an expression", cli_expr},
    {"schema", "print the JSON Schema of the configuration", cli_schema},
    {"policies", "list the policies, or describe one", cli_policies},
    {"manual", "write the reference pages of the manual", cli_manual},
    {"completion", "print completions for a shell", cli_completion},
    {"version", "print the version, and those of the libraries", cli_version},
    {"help", "print this, or the help of a command", cli_help},
    {"gateway", NULL, cli_gateway},
};
const size_t cli_commands_count = COUNT_OF(cli_commands);

const struct cli_command *cli_command_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(cli_commands); i++)
        if (text_equal(text_of(name), text_of(cli_commands[i].name)))
            return &cli_commands[i];
    return NULL;
}

static const char *command_name(const void *context, size_t i)
{
    (void)context;
    return i < COUNT_OF(cli_commands) && cli_commands[i].summary ? cli_commands[i].name : NULL;
}

int cli_command_unknown(const char *name)
{
    const char *near = cli_near_miss(name, command_name, NULL);
    fprintf(stderr, "turnpike: unknown command \"%s\"", name);
    if (near)
        fprintf(stderr, "; did you mean \"%s\"?", near);
    fprintf(stderr, "\nTry: turnpike help\n");
    return CLI_USAGE;
}

int cli_help(int argc, char **argv)
{
    const struct cli_command *command = argc > 1 ? cli_command_find(argv[1]) : NULL;
    if (argc > 1 && !command)
        return cli_command_unknown(argv[1]);
    if (command && command->run != cli_help)
        return command->run(2, (char *[]){argv[1], (char *)"--help", NULL});
    printf("Usage: turnpike COMMAND [OPTION]... [ARGUMENT]...\n\nAn API gateway.\n\nCommands:\n");
    for (size_t i = 0; i < COUNT_OF(cli_commands); i++)
        if (cli_commands[i].summary)
            printf("  %-12s%s\n", cli_commands[i].name, cli_commands[i].summary);
    printf("\nturnpike COMMAND --help says more about each.\n");
    return CLI_OK;
}
