/* turnpike schema: JSON Schema of the whole configuration file, for editors and other programs. */
#include "cli/cli.h"
#include "policy/instance.h"
#include "proxy/snapshot.h"

static const struct cli_usage usage = {
    .command = "schema",
    .arguments = "",
    .summary = "print the JSON Schema of the configuration file",
    .more =
        "Editors with a YAML language server take it by a first line such as\n# yaml-language-server: $schema=turnpike.schema.json",
};

static void write_definition(const char *name, const struct field *fields)
{
    printf("    \"%s\": ", name);
    schema_write(stdout, fields, 2);
    printf(",\n");
}

/* An entry of a list of policies: one policy's name, and what the core gives to all. */
static void write_policy(void)
{
    printf(
        "    \"policies\": {\"type\": \"array\", \"items\": {\"$ref\": \"#/$defs/policy\"}},\n"
        "    \"policy\": {\n      \"type\": \"object\",\n      \"additionalProperties\": false,\n      \"properties\": {\n");
    for (const struct field *field = policy_common_fields; field->kind != FIELD_KIND_END; field++)
        printf("        \"%s\": {\"$ref\": \"#/$defs/policy-common/properties/%s\"},\n", field->name,
               field->name);
    for (size_t i = 0; i < policies_count; i++)
        printf("        \"%s\": {\"anyOf\": [{\"type\": \"null\"}, {\"$ref\": \"#/$defs/policy-%s\"}]}%s\n",
               policies[i]->name, policies[i]->name, i + 1 < policies_count ? "," : "");
    printf("      }\n    }\n");
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
                         snapshot_kinds[i].fields);
    write_definition("policy-common", policy_common_fields);
    for (size_t i = 0; i < policies_count; i++) {
        char name[80];
        snprintf(name, sizeof name, "policy-%s", policies[i]->name);
        write_definition(name, policies[i]->fields);
    }
    write_policy();
    printf("  }\n}\n");
    return CLI_OK;
}
