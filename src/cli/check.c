/* turnpike check: is this configuration good? Exactly what the gateway would find at a reload. */
#include "cli/cli.h"
#include "control/offline.h"

static const struct cli_usage usage = {
    .command = "check",
    .arguments = "[FILE]",
    .summary = "check a configuration",
    .more =
        "All errors are listed, with file, line and column; and as warnings, routes that can never match, and pairs whose order\n"
        "only names decide. Status 0: good, 1: bad.",
    .arguments_max = 1,
};

static void say(const struct snapshot *snapshot, const char *path)
{
    printf("%s is good: %zu listeners, %zu services, %zu routes, %zu consumers\n", path,
           snapshot->listeners_count, snapshot->services.count, snapshot->routes_count,
           consumer_set_count(snapshot->consumers));
}

/* A good one is an object with its warnings, a bad one the list of all that is wrong. */
static void say_json(const struct snapshot *snapshot, const struct report *report)
{
    if (!snapshot) {
        report_print_json(report, stdout);
        return;
    }
    printf("{\"ok\":true,\"listeners\":%zu,\"services\":%zu,\"routes\":%zu,\"consumers\":%zu,\"warnings\":",
           snapshot->listeners_count, snapshot->services.count, snapshot->routes_count,
           consumer_set_count(snapshot->consumers));
    report_print_json(report, stdout);
    printf("}\n");
}

int cli_check(int argc, char **argv)
{
    const char *given = NULL;
    bool json = false;
    const struct cli_option options[] = {
        CLI_TEXT('c', "config", "FILE", "the configuration (default: as for run)", &given), CLI_JSON(&json),
        CLI_END};
    int status = cli_parse(&usage, options, &argc, argv);
    if (status != CLI_GO)
        return status;
    const char *path = cli_config_path(&usage, argc > 1 ? argv[1] : given);
    if (!path)
        return CLI_BAD;
    struct arena arena;
    struct report report;
    struct snapshot *snapshot;
    arena_init(&arena, 0, 0);
    report_init(&report, &arena);
    struct offline *offline = offline_build(path, &report, &snapshot);
    if (offline)
        offline_review(offline, &report);
    if (json)
        say_json(snapshot, &report);
    else if (report.errors || report.warnings)
        report_print(&report, stderr);
    if (snapshot && !json)
        say(snapshot, path);
    status = snapshot ? CLI_OK : CLI_BAD;
    offline_free(offline);
    arena_release(&arena);
    return status;
}
