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

static int explain(const struct snapshot *snapshot, const struct explain_question *question, bool json,
                   struct arena *arena)
{
    struct error error = {.said = "out of memory"};
    struct explanation *explanation = ARENA_NEW(arena, struct explanation);
    if (!explanation || !explain_request(snapshot, question, arena, explanation, &error)) {
        fprintf(stderr, "turnpike explain: %s\n", error.said);
        return CLI_BAD;
    }
    if (json)
        explain_print_json(explanation, stdout);
    else
        explain_print(explanation, stdout);
    return explanation->winner ? CLI_OK : CLI_BAD;
}

/* What was not given stays NULL. */
static struct text given_text(const char *given)
{
    return given ? text_of(given) : (struct text){NULL, 0};
}

int cli_explain(int argc, char **argv)
{
    const char *given = NULL, *client = NULL, *local = NULL, *listener = NULL, *scheme = NULL, *sni = NULL,
               *at = NULL, *body = NULL;
    bool json = false;
    struct cli_list headers = {.count = 0};
    struct text lines[CLI_LIST_MAX];
    const struct cli_option options[] = {
        CLI_TEXT('c', "config", "FILE", "the configuration (default: as for run)", &given),
        CLI_LIST('H', "header", "NAME: VALUE", "a header field of the request", &headers),
        CLI_TEXT(0, "client", "ADDRESS", "IP address of the client, or of the proxy before it (127.0.0.1)",
                 &client),
        CLI_TEXT(0, "listener", "NAME", "listener that it comes in by (the first)", &listener),
        CLI_TEXT(0, "local", "ADDRESS:PORT", "address that it connects to (the listener's)", &local),
        CLI_TEXT(0, "scheme", "SCHEME", "http or https (http)", &scheme),
        CLI_TEXT(0, "sni", "NAME", "server name of the TLS handshake (none)", &sni),
        CLI_TEXT(0, "at", "TIME", "time in UTC, such as 2026-12-24T18:00 (now)", &at),
        CLI_TEXT(0, "body", "TEXT", "body of the request, for routes whose expression asks for it", &body),
        CLI_JSON(&json),
        CLI_END,
    };
    int status = cli_parse(&usage, options, &argc, argv);
    if (status != CLI_GO)
        return status;
    const char *path = cli_config_path(&usage, given);
    if (!path)
        return CLI_BAD;
    for (size_t i = 0; i < headers.count; i++)
        lines[i] = text_of(headers.at[i]);
    const struct explain_question question = {
        .method = text_of(argv[1]),
        .url = text_of(argv[2]),
        .headers = lines,
        .headers_count = headers.count,
        .listener = given_text(listener),
        .client = given_text(client),
        .local = given_text(local),
        .scheme = given_text(scheme),
        .sni = given_text(sni),
        .at = given_text(at),
        .body = given_text(body),
    };
    struct arena arena;
    struct report report;
    struct snapshot *snapshot;
    arena_init(&arena, 0, 0);
    report_init(&report, &arena);
    struct offline *offline = offline_build(path, &report, &snapshot);
    if (!snapshot)
        report_print(&report, stderr);
    status = snapshot ? explain(snapshot, &question, json, &arena) : CLI_BAD;
    offline_free(offline);
    arena_release(&arena);
    return status;
}
