/* turnpike run: the supervisor, with a gateway process under it. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "control/supervisor.h"

static const struct cli_usage usage = {
    .command = "run",
    .arguments = "",
    .summary = "run the gateway",
    .more =
        "Signals: HUP reloads the configuration, USR1 reopens logs, USR2 upgrades to the program that is\n"
        "now at this one's path, TERM and INT drain and end, QUIT ends at once. A gateway process that\n"
        "crashes is started again on the same sockets.\n",
};

/* --- where the program is: as it was called, so that a symbolic link to a newer version is followed --- */

static bool is_this_program(const char *path)
{
    struct stat there, here;
    return stat(path, &there) == 0 && stat("/proc/self/exe", &here) == 0 && there.st_dev == here.st_dev
           && there.st_ino == here.st_ino;
}

static bool search(const char *name, char to[PATH_MAX])
{
    const char *folders = getenv("PATH");
    struct text rest = folders ? text_of(folders) : (struct text){0};
    while (rest.at) {
        struct text folder = text_split(&rest, ':');
        int size = snprintf(to, PATH_MAX, "%.*s/%s", TEXT_ARGS(folder), name);
        if (folder.size > 0 && folder.at[0] == '/' && size < PATH_MAX && is_this_program(to))
            return true;
    }
    return false;
}

static bool program_path(char to[PATH_MAX])
{
    const char *called = program_invocation_name;
    char folder[PATH_MAX];
    int size = -1;
    if (!strchr(called, '/') && search(called, to))
        return true;
    if (called[0] == '/')
        size = snprintf(to, PATH_MAX, "%s", called);
    else if (strchr(called, '/') && getcwd(folder, sizeof folder))
        size = snprintf(to, PATH_MAX, "%s/%s", folder, called);
    if (size > 0 && size < PATH_MAX && access(to, X_OK) == 0)
        return true; /* perhaps another file already */
    ssize_t linked = readlink("/proc/self/exe", to, PATH_MAX - 1);
    if (linked <= 0)
        return false;
    to[linked] = '\0';
    return true;
}

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
    /* The program itself, even if its file was replaced or removed meanwhile; an upgrade takes what is at its path then. execv() does not write to
     * its arguments. */
    char program[PATH_MAX];
    bool found = program_path(program);
    char *const arguments[] = {(char *)"turnpike", (char *)"gateway", (char *)"-c", (char *)path, NULL};
    char *const again[] = {found ? program : (char *)"turnpike", (char *)"run", (char *)"-c", (char *)path,
                           NULL};
    return supervisor_run(&(struct supervisor_options){
        .path = "/proc/self/exe", .arguments = arguments, .program = found ? program : NULL, .again = again});
}
