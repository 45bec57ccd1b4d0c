/* The gateway process: workers, control thread, everything that the configuration says. */
#pragma once

#include "control/supervisor_link.h"

/* Runs until it is told to stop. `legacy` is what the supervisor left in the environment. Returns the exit status: 0, or 1 after saying what is
 * wrong. */
int gateway_main(const char *config_path, struct supervisor_legacy legacy);
