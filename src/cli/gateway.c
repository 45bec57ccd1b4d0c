/* turnpike gateway: the gateway process. The supervisor starts it; by hand it runs without one, which debuggers like. */
#include "control/gateway.h"

#include "cli/cli.h"
#include "control/supervisor_link.h"

static const struct cli_usage usage = {
    .command = "gateway",
    .arguments = "",
    .summary = "run the gateway process alone, without a supervisor",
};

int cli_gateway(int argc, char **argv)
{
    struct supervisor_legacy legacy = supervisor_link_inherit();
    const char *given = NULL;
    const struct cli_option options[] = {
        CLI_TEXT('c', "config", "FILE", "the configuration (default: as for run)", &given),
        CLI_END,
    };
    int status = cli_parse(&usage, options, &argc, argv);
    if (status != CLI_GO)
        return status;
    const char *path = cli_config_path(&usage, given);
    return path ? gateway_main(path, legacy) : CLI_BAD;
}
