/* turnpike run: the supervisor, with a gateway process under it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "control/supervisor.h"

static const struct cli_usage usage = {
    .command = "run",
    .arguments = "",
    .summary = "run the gateway",
    .more = "Signals: HUP reloads the configuration, USR1 reopens logs, TERM and INT drain and end,\n"
            "QUIT ends at once. A gateway process that crashes is started again on the same sockets.\n",
};

int cli_run(int argc, char **argv)
{
    const char *given = NULL;
    const struct cli_option options[] = {
        CLI_TEXT('c', "config", "FILE",
                 "the configuration (default: ./turnpike.yaml, /etc/turnpike/turnpike.yaml)", &given),
        CLI_END,
    };
    int status = cli_parse(&usage, options, &argc, argv);
    if (status != CLI_GO)
        return status;
    const char *path = cli_config_path(&usage, given);
    if (!path)
        return CLI_BAD;
    if (access(path, R_OK) < 0) { /* said here once more simply than by a process that fails to start */
        fprintf(stderr, "turnpike run: cannot read %s: %s\n", path, strerror(errno));
        return CLI_BAD;
    }
    /* The program itself, even if its file was replaced or removed meanwhile. execv() does not write to its arguments. */
    char *const arguments[] = {(char *)"turnpike", (char *)"gateway", (char *)"-c", (char *)path, NULL};
    return supervisor_run(&(struct supervisor_options){.path = "/proc/self/exe", .arguments = arguments});
}
