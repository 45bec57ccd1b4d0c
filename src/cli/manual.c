/* turnpike manual: writes the pages of the manual that follow from the tables of fields, attributes and functions. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/check.h"
#include "cli/cli.h"
#include "cli/man.h"
#include "cli/manual.h"
#include "config/schema.h"
#include "policy/instance.h"
#include "proxy/snapshot.h"

static const struct cli_usage usage = {
    .command = "manual",
    .arguments = "DIR",
    .summary = "write the reference pages of the manual",
    .more = "Into DIR: configuration.md, attributes.md, and policies/ with a page for each policy;\n"
            "with --man turnpike.1 and turnpike.yaml.5.\n",
    .arguments_min = 1,
    .arguments_max = 1,
};

static const char generated[] =
    "<!-- Written by `turnpike manual` from the field tables: `make generate`. -->\n\n";

/* --- configuration.md --- */

static void write_kind(FILE *to, const struct object_kind *kind)
{
    bool is_top = kind->name[0] == '\0', is_map = !is_top && !kind->is_part;
    fprintf(to, "## %s\n\n%s", is_top ? "Top level" : kind->name, kind->about);
    if (is_map)
        fprintf(to, " `%s` is a map: each entry has a name of your choice and these fields.", kind->name);
    fputs("\n\n", to);
    manual_write_fields(to, kind->fields, "");
    fputs("\n", to);
}

static void write_configuration(FILE *to, const void *unused)
{
    (void)unused;
    fprintf(
        to,
        "# Configuration reference\n\n%s"
        "Every field of the configuration file. How files are written, included and reloaded is in [Reload](reload.md) and\n"
        "[Getting started](getting-started.md). In a path, `<name>` stands for a name of your choice and `[]` for each entry of a list.\n"
        "`turnpike schema` prints the same as JSON Schema.\n\n",
        generated);
    for (size_t i = 0; i < snapshot_kinds_count; i++)
        write_kind(to, &snapshot_kinds[i]);
    fputs(
        "## policies\n\n"
        "A list of policies may stand at the top level, in a service, a route, a group or a consumer. Each entry names one policy, with its\n"
        "own fields below the name: [the policies](policies/index.md). Beside the name, every policy takes these fields.\n\n",
        to);
    manual_write_fields(to, policy_common_fields, "");
}

/* --- attributes.md --- */

static void write_expressions(FILE *to, const void *unused)
{
    (void)unused;
    fprintf(to,
            "# Attributes and functions\n\n%s"
            "What [expressions](expressions.md) can ask about an exchange, and what they can do with it.\n\n"
            "## Attributes\n\n",
            generated);
    manual_write_attributes(to);
    manual_write_functions(to);
}

/* --- policies/ --- */

static void write_body_needs(FILE *to, const struct policy *policy)
{
    if (policy->request_body == BODY_WHOLE)
        fputs(" It needs the whole request body, within the listener's `limits.buffered_body`.", to);
    else if (policy->on_request_body)
        fputs(" It reads the request body as it passes.", to);
    if (policy->on_response_body)
        fputs(" It reads the answer's body as it passes.", to);
}

static void write_policy(FILE *to, const void *policy_)
{
    static const char *const statuses[] = {"experimental", "stable", "deprecated"};
    const struct policy *policy = policy_;
    fprintf(to, "# %s\n\n%s%s\n\nStage: %s. Status: %s.", policy->name, generated, policy->summary,
            policy_stage_names[policy->stage], statuses[policy->status]);
    write_body_needs(to, policy);
    fputs("\n\n", to);
    if (policy->fields[0].kind == FIELD_KIND_END)
        fputs("It has no fields of its own.\n", to);
    else
        manual_write_fields(to, policy->fields, "");
    fputs(
        "\n`when`, `on_error`, `enabled`, `stage` and `id` stand beside the policy's name: [policies](../configuration.md#policies).\n",
        to);
    if (policy->manual)
        fprintf(to, "\n%s", policy->manual);
}

static void write_index(FILE *to, const void *unused)
{
    (void)unused;
    fprintf(
        to,
        "# Policies\n\n%s"
        "A request meets the policies of its route in the order of stages; within a stage in the order of scopes, from wide to narrow, and\n"
        "then as written. The fields that every policy has are in the [configuration reference](../configuration.md#policies).\n\n"
        "| Stage | Policy | What it does |\n|---|---|---|\n",
        generated);
    for (unsigned stage = 0; stage < STAGES_COUNT; stage++)
        for (size_t i = 0; i < policies_count; i++)
            if (policies[i]->stage == stage)
                fprintf(to, "| %s | [%s](%s.md) | %s |\n", policy_stage_names[stage], policies[i]->name,
                        policies[i]->name, policies[i]->summary);
}

/* --- files --- */

static bool failed(const char *path)
{
    fprintf(stderr, "turnpike manual: cannot write %s: %s\n", path, strerror(errno));
    return false;
}

static bool make_folder(const char *path)
{
    return mkdir(path, 0777) == 0 || errno == EEXIST || failed(path);
}

static bool write_page(struct arena *arena, const char *folder, const char *name,
                       void (*write)(FILE *to, const void *about), const void *about)
{
    const char *path = arena_format(arena, "%s/%s", folder, name).at;
    FILE *to = fopen(path, "we");
    if (!to)
        return failed(path);
    write(to, about);
    bool fine = !ferror(to);
    return (fclose(to) == 0 && fine) || failed(path);
}

static bool write_all(struct arena *arena, const char *folder)
{
    const char *below = arena_format(arena, "%s/policies", folder).at;
    if (!make_folder(folder) || !make_folder(below))
        return false;
    bool fine = write_page(arena, folder, "configuration.md", write_configuration, NULL)
                && write_page(arena, folder, "attributes.md", write_expressions, NULL)
                && write_page(arena, below, "index.md", write_index, NULL);
    for (size_t i = 0; fine && i < policies_count; i++)
        fine = write_page(arena, below, arena_format(arena, "%s.md", policies[i]->name).at, write_policy,
                          policies[i]);
    return fine;
}

static bool write_man(struct arena *arena, const char *folder)
{
    return make_folder(folder) && write_page(arena, folder, "turnpike.1", man_write_program, NULL)
           && write_page(arena, folder, "turnpike.yaml.5", man_write_configuration, NULL);
}

int cli_manual(int argc, char **argv)
{
    bool man = false;
    const struct cli_option options[] = {
        CLI_FLAG(0, "man", "write pages for man instead", &man),
        CLI_END,
    };
    int status = cli_parse(&usage, options, &argc, argv);
    if (status != CLI_GO)
        return status;
    struct arena arena;
    arena_init(&arena, 0, 0);
    bool fine = man ? write_man(&arena, argv[1]) : write_all(&arena, argv[1]);
    arena_release(&arena);
    return fine ? CLI_OK : CLI_BAD;
}
