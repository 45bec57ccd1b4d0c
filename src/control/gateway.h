/* The gateway process: workers, control thread, everything that the configuration says. */
#pragma once

/* Runs until it is told to stop. `supervisor_fd` is -1 without a supervisor. Returns the exit status: 0, or 1 after saying what is wrong. */
int gateway_main(const char *config_path, int supervisor_fd);
