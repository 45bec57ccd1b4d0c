/* turnpike policies: what policies there are, and the manual of one. */
#include "cli/cli.h"
#include "config/schema.h"
#include "policy/instance.h"

static const struct cli_usage usage = {
    .command = "policies",
    .arguments = "[NAME]",
    .summary = "list the policies, or show the manual of one",
    .arguments_max = 1,
};

static void list_all(bool json)
{
    if (json)
        fputs("[", stdout);
    for (size_t i = 0; i < policies_count; i++) {
        const struct policy *policy = policies[i];
        if (json) {
            printf("%s{\"name\":\"%s\",\"stage\":\"%s\",\"summary\":", i ? "," : "", policy->name,
                   policy_stage_names[policy->stage]);
            cli_print_json(stdout, text_of(policy->summary));
            fputs("}", stdout);
        } else {
            printf("%-18s %-10s %s\n", policy->name, policy_stage_names[policy->stage], policy->summary);
        }
    }
    if (json)
        fputs("]\n", stdout);
}

static void show_one(const struct policy *policy, bool json)
{
    if (json) {
        schema_write(stdout, policy->fields, 0);
        fputs("\n", stdout);
        return;
    }
    printf("# %s\n\n%s\n\nStage: %s.\n\n", policy->name, policy->summary, policy_stage_names[policy->stage]);
    manual_write_fields(stdout, policy->fields, "");
    printf("\n%s\n", policy->manual ? policy->manual : "");
}

static const char *next_name(const void *context, size_t i)
{
    (void)context;
    return i < policies_count ? policies[i]->name : NULL;
}

int cli_policies(int argc, char **argv)
{
    bool json = false;
    const struct cli_option options[] = {CLI_JSON(&json), CLI_END};
    int status = cli_parse(&usage, options, &argc, argv);
    if (status != CLI_GO)
        return status;
    if (argc == 1) {
        list_all(json);
        return CLI_OK;
    }
    const struct policy *policy = policy_find(text_of(argv[1]));
    if (policy) {
        show_one(policy, json);
        return CLI_OK;
    }
    const char *near = cli_near_miss(argv[1], next_name, NULL);
    fprintf(stderr,
            near ? "turnpike policies: there is no policy `%s`; did you mean `%s`?\n"
                 : "turnpike policies: there is no policy `%s`\n",
            argv[1], near);
    return CLI_BAD;
}
