/* The program: one of its subcommands (src/cli/commands.c). */
#include <stdio.h>

#include "base/text.h"
#include "cli/cli.h"
#include "tls/library.h"

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
        (void)cli_help(1, argv); /* cannot fail without arguments */
        return CLI_USAGE;
    }
    struct text word = text_of(argv[1]);
    if (text_equal(word, TEXT("--help")) || text_equal(word, TEXT("-h")))
        return finish(cli_help(1, argv));
    if (text_equal(word, TEXT("--version")))
        return finish(cli_version(1, (char *[]){argv[1], NULL}));
    const struct cli_command *command = cli_command_find(argv[1]);
    return command ? finish(command->run(argc - 1, argv + 1)) : cli_command_unknown(argv[1]);
}
