/* man pages from tables. */
#include "cli/man.h"

#include <string.h>

#include "base/check.h"
#include "cli/cli.h"
#include "config/schema.h"
#include "policy/instance.h"
#include "proxy/snapshot.h"

/* Text as roff shows it: no escapes, no requests. */
static void put(FILE *to, const char *text)
{
    man_write_text(to, text_of(text));
}

static void begin(FILE *to, const char *title, int section, const char *about)
{
    fprintf(to,
            ".\\\" Written by `turnpike manual --man` from the tables of the program.\n"
            ".TH %s %d \"\" \"turnpike %s\" \"Turnpike\"\n.SH NAME\n%s \\- ",
            title, section, TURNPIKE_VERSION, title);
    put(to, about);
    fputs("\n", to);
}

/* --- turnpike.1 --- */

static void write_option(FILE *to, const struct cli_option *option)
{
    fputs(".TP\n", to);
    if (option->letter)
        fprintf(to, "\\fB\\-%c\\fR, ", option->letter);
    fprintf(to, "\\fB\\-\\-%s\\fR", option->name);
    if (option->value) {
        fputs(" \\fI", to);
        put(to, option->value);
        fputs("\\fR", to);
    }
    fputs("\n", to);
    put(to, option->help);
    fputs("\n", to);
}

static void write_command(const struct cli_usage *of, const struct cli_option *options, void *to_)
{
    FILE *to = to_;
    fprintf(to, ".SS turnpike %s", of->command);
    fputs(options->name ? " [OPTION]... " : " ", to);
    put(to, of->arguments);
    fputs("\n", to);
    put(to, of->summary);
    fputs(".\n", to);
    if (of->more) {
        fputs(".PP\n", to);
        put(to, of->more);
    }
    for (const struct cli_option *option = options; option->name; option++)
        write_option(to, option);
}

void man_write_program(FILE *to, const void *unused)
{
    (void)unused;
    begin(to, "turnpike", 1, "an API gateway");
    fputs(
        ".SH SYNOPSIS\n.B turnpike\n.I COMMAND\n[\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]...\n.SH DESCRIPTION\n"
        "Turnpike is the front door of an organisation's APIs: it takes requests, applies policies to them, and forwards them to\n"
        "the services behind. \\fBturnpike run\\fR starts it; the other commands help with its configuration,\n"
        ".BR turnpike.yaml (5).\n.SH COMMANDS\n",
        to);
    for (size_t i = 0; i < cli_commands_count; i++)
        if (cli_commands[i].summary)
            cli_describe(&cli_commands[i], write_command, to);
    fputs(
        ".SH EXIT STATUS\n0 success, 1 the thing asked about is bad, 2 wrong usage.\n"
        ".SH FILES\n.TP\n.I ./turnpike.yaml\n.TQ\n.I /etc/turnpike/turnpike.yaml\n"
        "The configuration, if none is named: the first of these that is there.\n"
        ".SH ENVIRONMENT\n.TP\n.BR NOTIFY_SOCKET \", \" WATCHDOG_USEC \", \" LISTEN_FDS\nAs systemd sets them: see\n"
        ".BR sd_notify (3)\nand\n.BR sd_listen_fds (3).\n.SH SEE ALSO\n.BR turnpike.yaml (5)\n",
        to);
}

/* --- turnpike.yaml.5 --- */

static void write_kind(FILE *to, const struct object_kind *kind)
{
    bool is_top = kind->name[0] == '\0';
    fprintf(to, ".SH %s\n", is_top ? "TOP LEVEL" : kind->name);
    put(to, kind->about);
    fputs("\n", to);
    if (!is_top)
        fprintf(to, "\\fB%s\\fR is a map: each entry has a name of your choice and these fields.\n",
                kind->name);
    man_write_fields(to, kind->fields);
}

static void write_policies(FILE *to)
{
    fputs(
        ".SH policies\nA list of policies may stand at the top level, in a service, a route, a group or a consumer. Each entry names one\n"
        "policy, with its own fields below the name; \\fBturnpike policies\\fR \\fINAME\\fR prints them. Beside the name, every policy takes\n"
        "these fields.\n",
        to);
    man_write_fields(to, policy_common_fields);
    fputs(".SS The policies\n", to);
    for (size_t i = 0; i < policies_count; i++) {
        fprintf(to, ".TP\n.B %s\n", policies[i]->name);
        put(to, policies[i]->summary);
        fputs("\n", to);
    }
}

void man_write_configuration(FILE *to, const void *unused)
{
    (void)unused;
    begin(to, "turnpike.yaml", 5, "configuration of turnpike(1)");
    fputs(
        ".SH DESCRIPTION\nA YAML or JSON file. \\fBturnpike check\\fR lists everything that is wrong with one; SIGHUP reads it anew. In a\n"
        "field, \\fB<name>\\fR stands for a name of your choice and \\fB[]\\fR for each entry of a list.\n"
        ".SH EXAMPLE\n.EX\nlisteners:\n  public: { address: \"0.0.0.0:8080\" }\nroutes:\n"
        "  all: { match: { path: \"/*\" }, service: \"http://127.0.0.1:7001\" }\n.EE\n",
        to);
    for (size_t i = 0; i < snapshot_kinds_count; i++)
        write_kind(to, &snapshot_kinds[i]);
    write_policies(to);
    fputs(".SH SEE ALSO\n.BR turnpike (1)\n", to);
}
