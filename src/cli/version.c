/* turnpike version: what this program was built from and with. */
#include <ares.h>
#include <gnu/libc-version.h>
#include <openssl/crypto.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <yaml.h>

#include "base/check.h"
#include "cli/cli.h"

static const struct cli_usage usage = {
    .command = "version",
    .arguments = "",
    .summary = "print the version, and those of the libraries",
};

struct part {
    const char *name;
    const char *version;
};

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* Libraries as they are on this machine, not as they were when the program was built. */
int cli_version(int argc, char **argv)
{
    bool json = false;
    const struct cli_option options[] = {CLI_JSON(&json), CLI_END};
    int status = cli_parse(&usage, options, &argc, argv);
    if (status != CLI_GO)
        return status;
    char pcre2[32] = "?";
    (void)pcre2_config(PCRE2_CONFIG_VERSION, pcre2); /* the buffer is large enough: it cannot fail */
    const struct part parts[] = {
        {"version", TURNPIKE_VERSION},          {"compiler", COMPILER},
        {"glibc", gnu_get_libc_version()},      {"openssl", OpenSSL_version(OPENSSL_VERSION_STRING)},
        {"c-ares", ares_version(NULL)},         {"pcre2", pcre2},
        {"libyaml", yaml_get_version_string()},
    };
    if (!json)
        printf("turnpike %s\n", parts[0].version);
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (!json && i > 0)
            printf("%-9s %s\n", parts[i].name, parts[i].version);
        if (json)
            printf("%s  \"%s\": ", i > 0 ? ",\n" : "{\n", parts[i].name);
        if (json)
            cli_print_json(stdout, text_of(parts[i].version));
    }
    if (json)
        printf("\n}\n");
    return CLI_OK;
}
