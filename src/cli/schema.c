/* turnpike schema: JSON Schema of the whole configuration file, for editors and other programs. */
#include "cli/cli.h"
#include "policy/instance.h"
#include "proxy/snapshot.h"

static const struct cli_usage usage = {
    .command = "schema",
    .arguments = "",
    .summary = "print the JSON Schema of the configuration file",
    .more =
        "Editors with a YAML language server take it by a first line such as\n# yaml-language-server: $schema=turnpike.schema.json\n"
        "and for a file that another one includes\n# yaml-language-server: $schema=turnpike.schema.json#/$defs/included",
};

/* What stands for a whole object counts, but for the file itself and for what is only referred to field by field. */
static void write_definition(const char *name, const struct field *fields, bool whole)
{
    printf("    \"%s\": ", name);
    if (whole)
        schema_write(stdout, fields, 2);
    else
        schema_write_value(stdout, fields, 2);
    printf(",\n");
}

/* An entry of a list of policies: one policy's name, and what the core gives to all. */
static void write_policy(void)
{
    printf("    \"policies\": {\"type\": [\"array\", \"null\"], \"items\": {\"$ref\": \"#/$defs/policy\"}},\n"
           "    \"policy\": {\n      \"type\": \"object\",\n      \"additionalProperties\": false,\n"
           "      \"oneOf\": [\n");
    for (size_t i = 0; i < policies_count; i++)
        printf("        {\"required\": [\"%s\"]}%s\n", policies[i]->name, i + 1 < policies_count ? "," : "");
    printf("      ],\n      \"properties\": {\n");
    for (const struct field *field = policy_common_fields; field->kind != FIELD_KIND_END; field++)
        printf("        \"%s\": {\"$ref\": \"#/$defs/policy-common/properties/%s\"},\n", field->name,
               field->name);
    for (size_t i = 0; i < policies_count; i++)
        printf("        \"%s\": {\"$ref\": \"#/$defs/policy-%s\"}%s\n", policies[i]->name, policies[i]->name,
               i + 1 < policies_count ? "," : "");
    printf("      }\n    }\n");
}

/* A file that another one includes: objects, and nothing of the node's own. */
static void write_included(void)
{
    printf("    \"included\": {\n      \"type\": \"object\",\n      \"additionalProperties\": false,\n"
           "      \"properties\": {\n");
    for (size_t i = 0; i < snapshot_kinds_count; i++) {
        const char *name = snapshot_kinds[i].name;
        if (name[0] && !snapshot_kinds[i].is_part)
            printf("        \"%s\": {\"$ref\": \"#/$defs/configuration/properties/%s\"},\n", name, name);
    }
    printf("        \"policies\": {\"$ref\": \"#/$defs/policies\"}\n      }\n    },\n");
}

int cli_schema(int argc, char **argv)
{
    const struct cli_option options[] = {CLI_END};
    int status = cli_parse(&usage, options, &argc, argv);
    if (status != CLI_GO)
        return status;
    printf(
        "{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n  \"title\": \"Turnpike configuration\",\n"
        "  \"$ref\": \"#/$defs/configuration\",\n  \"$defs\": {\n");
    for (size_t i = 0; i < snapshot_kinds_count; i++)
        write_definition(snapshot_kinds[i].name[0] ? snapshot_kinds[i].name : "configuration",
                         snapshot_kinds[i].fields, !snapshot_kinds[i].name[0]);
    write_included();
    write_definition("policy-common", policy_common_fields, true);
    for (size_t i = 0; i < policies_count; i++) {
        char name[80];
        snprintf(name, sizeof name, "policy-%s", policies[i]->name);
        write_definition(name, policies[i]->fields, false);
    }
    write_policy();
    printf("  }\n}\n");
    return CLI_OK;
}
