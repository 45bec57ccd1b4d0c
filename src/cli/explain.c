/* turnpike explain: which route would a request take, and which policies would it meet? */
#include "cli/cli.h"
#include "control/offline.h"
#include "proxy/explain.h"

static const struct cli_usage usage = {
    .command = "explain",
    .arguments = "METHOD URL",
    .summary = "explain what would happen to a request",
    .more = "URL is http://HOST/PATH or /PATH. Nothing is sent.",
    .arguments_min = 2,
    .arguments_max = 2,
};

static int explain(const struct snapshot *snapshot, char **argv, const struct cli_list *given, bool json,
                   struct arena *arena)
{
    struct text headers[CLI_LIST_MAX];
    struct error error;
    for (size_t i = 0; i < given->count; i++)
        headers[i] = text_of(given->at[i]);
    struct explanation *explanation = ARENA_NEW(arena, struct explanation);
    if (!explanation
        || !explain_request(snapshot, text_of(argv[1]), text_of(argv[2]), headers, given->count, arena,
                            explanation, &error)) {
        fprintf(stderr, "turnpike explain: %s\n", explanation ? error.said : "out of memory");
        return CLI_BAD;
    }
    if (json)
        explain_print_json(explanation, stdout);
    else
        explain_print(explanation, stdout);
    return explanation->winner ? CLI_OK : CLI_BAD;
}

int cli_explain(int argc, char **argv)
{
    const char *given = NULL;
    bool json = false;
    struct cli_list headers = {.count = 0};
    const struct cli_option options[] = {
        CLI_TEXT('c', "config", "FILE", "the configuration (default: as for run)", &given),
        CLI_LIST('H', "header", "NAME: VALUE", "a header field of the request", &headers),
        CLI_JSON(&json),
        CLI_END,
    };
    int status = cli_parse(&usage, options, &argc, argv);
    if (status != CLI_GO)
        return status;
    const char *path = cli_config_path(&usage, given);
    if (!path)
        return CLI_BAD;
    struct arena arena;
    struct report report;
    struct snapshot *snapshot;
    arena_init(&arena, 0, 0);
    report_init(&report, &arena);
    struct offline *offline = offline_build(path, &report, &snapshot);
    if (!snapshot)
        report_print(&report, stderr);
    status = snapshot ? explain(snapshot, argv, &headers, json, &arena) : CLI_BAD;
    offline_free(offline);
    arena_release(&arena);
    return status;
}
