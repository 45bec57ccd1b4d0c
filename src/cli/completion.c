/* turnpike completion: completions for bash, zsh and fish, from the table of commands and their tables of options. */
#include <string.h>

#include "base/check.h"
#include "cli/cli.h"
#include "policy/instance.h"

static const struct cli_usage usage = {
    .command = "completion",
    .arguments = "SHELL",
    .summary = "print completions for a shell",
    .more = "SHELL is bash, zsh or fish. For this session: source <(turnpike completion bash)\n",
    .arguments_min = 1,
    .arguments_max = 1,
};

/* What may stand in a place, by the name that the help gives it. */
enum completion_place { PLACE_OTHER, PLACE_FILE, PLACE_FOLDER, PLACE_POLICY, PLACE_COMMAND, PLACE_SHELL };

static enum completion_place place_of(const char *named)
{
    static const struct {
        const char *named;
        enum completion_place place;
    } places[] = {
        {"FILE", PLACE_FILE},       {"DIR", PLACE_FOLDER},  {"NAME", PLACE_POLICY},
        {"COMMAND", PLACE_COMMAND}, {"SHELL", PLACE_SHELL},
    };
    for (size_t i = 0; named && i < COUNT_OF(places); i++)
        if (!strcmp(named, places[i].named)
            || (named[0] == '[' && !strncmp(named + 1, places[i].named, strlen(places[i].named))))
            return places[i].place;
    return PLACE_OTHER;
}

static void each_listed(void (*describe)(const struct cli_usage *of, const struct cli_option *options,
                                         void *to),
                        void *to)
{
    for (size_t i = 0; i < cli_commands_count; i++)
        if (cli_commands[i].summary)
            cli_describe(&cli_commands[i], describe, to);
}

static void print_names(const char *between)
{
    for (size_t i = 0; i < policies_count; i++)
        printf("%s%s", i ? between : "", policies[i]->name);
}

static void print_commands(const char *between)
{
    for (size_t i = 0; i < cli_commands_count && cli_commands[i].summary; i++)
        printf("%s%s", i ? between : "", cli_commands[i].name);
}

static void print_words(enum completion_place place, const char *between)
{
    if (place == PLACE_POLICY)
        print_names(between);
    else if (place == PLACE_COMMAND)
        print_commands(between);
    else if (place == PLACE_SHELL)
        printf("bash%szsh%sfish", between, between);
}

/* --- bash --- */

static void bash_value(const struct cli_option *option)
{
    if (!option->value)
        return;
    printf("        ");
    if (option->letter)
        printf("-%c|", option->letter);
    printf("--%s) %s; return ;;\n", option->name,
           place_of(option->value) == PLACE_FILE ? "COMPREPLY=($(compgen -f -- \"$word\"))" : ":");
}

static void bash_command(const struct cli_usage *of, const struct cli_option *options, void *unused)
{
    (void)unused;
    enum completion_place place = place_of(of->arguments);
    printf("    %s)\n        case $before in\n", of->command);
    for (const struct cli_option *option = options; option->name; option++)
        bash_value(option);
    printf("        esac\n        options='--help");
    for (const struct cli_option *option = options; option->name; option++)
        printf(" --%s", option->name);
    printf("'\n");
    if (place == PLACE_FILE || place == PLACE_FOLDER) {
        printf("        COMPREPLY=($(compgen -%c -- \"$word\"))\n", place == PLACE_FILE ? 'f' : 'd');
    } else if (place != PLACE_OTHER) {
        printf("        COMPREPLY=($(compgen -W '");
        print_words(place, " ");
        printf("' -- \"$word\"))\n");
    }
    printf("        ;;\n");
}

static void print_bash(void)
{
    printf("# Completions of turnpike for bash, written by `turnpike completion bash`.\n"
           "_turnpike() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} options=''\n"
           "    COMPREPLY=()\n"
           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
           "        COMPREPLY=($(compgen -W '");
    print_commands(" ");
    printf("' -- \"$word\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in\n");
    each_listed(bash_command, NULL);
    printf("    esac\n"
           "    case $word in -*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) ;; esac\n"
           "}\n"
           "complete -o filenames -F _turnpike turnpike\n");
}

/* --- zsh --- */

/* Within single quotes; a colon and brackets would end the text. */
static void zsh_text(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            printf("'\\''");
        else if (strchr(":[]", *text))
            printf("\\%c", *text);
        else
            putchar(*text);
    }
}

static void zsh_place(enum completion_place place)
{
    if (place == PLACE_FILE || place == PLACE_FOLDER) {
        printf(place == PLACE_FILE ? "_files" : "_files -/");
    } else if (place != PLACE_OTHER) {
        printf("(");
        print_words(place, " ");
        printf(")");
    }
}

static void zsh_option(const struct cli_option *option)
{
    printf(" \\\n                '%s--%s%s[", option->list ? "*" : "", option->name,
           option->value ? "=" : "");
    zsh_text(option->help);
    printf("]");
    if (option->value) {
        printf(":");
        zsh_text(option->value);
        printf(":");
        zsh_place(place_of(option->value));
    }
    printf("'");
}

static void zsh_command(const struct cli_usage *of, const struct cli_option *options, void *unused)
{
    (void)unused;
    printf("            %s)\n                _arguments '--help[print this]'", of->command);
    for (const struct cli_option *option = options; option->name; option++)
        zsh_option(option);
    if (place_of(of->arguments) != PLACE_OTHER) {
        printf(" \\\n                '1:");
        zsh_text(of->arguments);
        printf(":");
        zsh_place(place_of(of->arguments));
        printf("'");
    }
    printf("\n                ;;\n");
}

static void print_zsh(void)
{
    printf("#compdef turnpike\n"
           "# Completions of turnpike for zsh, written by `turnpike completion zsh`.\n"
           "_turnpike() {\n"
           "    local line state\n"
           "    _arguments -C '1:command:->command' '*::argument:->argument'\n"
           "    case $state in\n"
           "    command)\n"
           "        local -a commands=(\n");
    for (size_t i = 0; i < cli_commands_count && cli_commands[i].summary; i++) {
        printf("            '%s:", cli_commands[i].name);
        zsh_text(cli_commands[i].summary);
        printf("'\n");
    }
    printf("        )\n"
           "        _describe command commands\n"
           "        ;;\n"
           "    argument)\n"
           "        case $line[1] in\n");
    each_listed(zsh_command, NULL);
    printf(
        "        esac\n        ;;\n    esac\n}\n"
        "if [ \"$funcstack[1]\" = _turnpike ]; then _turnpike \"$@\"; else compdef _turnpike turnpike; fi\n");
}

/* --- fish --- */

static void fish_text(const char *text)
{
    putchar('\'');
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
    putchar('\'');
}

static void fish_command(const struct cli_usage *of, const struct cli_option *options, void *unused)
{
    (void)unused;
    enum completion_place place = place_of(of->arguments);
    printf("complete -c turnpike -n __fish_use_subcommand -a %s -d ", of->command);
    fish_text(of->summary);
    putchar('\n');
    for (const struct cli_option *option = options; option->name; option++) {
        printf("complete -c turnpike -n '__fish_seen_subcommand_from %s'", of->command);
        if (option->letter)
            printf(" -s %c", option->letter);
        printf(" -l %s -d ", option->name);
        fish_text(option->help);
        printf("%s\n", !option->value ? "" : place_of(option->value) == PLACE_FILE ? " -r -F" : " -x");
    }
    if (place == PLACE_FILE || place == PLACE_FOLDER) {
        printf("complete -c turnpike -n '__fish_seen_subcommand_from %s' -F\n", of->command);
    } else if (place != PLACE_OTHER) {
        printf("complete -c turnpike -n '__fish_seen_subcommand_from %s' -a '", of->command);
        print_words(place, " ");
        printf("'\n");
    }
}

static void print_fish(void)
{
    printf("# Completions of turnpike for fish, written by `turnpike completion fish`.\n"
           "complete -c turnpike -f\n"
           "complete -c turnpike -s h -l help -d 'print help'\n");
    each_listed(fish_command, NULL);
}

/* --- all --- */

int cli_completion(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    const struct cli_option options[] = {CLI_END};
    int status = cli_parse(&usage, options, &argc, argv);
    if (status != CLI_GO)
        return status;
    for (size_t i = 0; i < COUNT_OF(shells); i++) {
        if (strcmp(argv[1], shells[i].name))
            continue;
        shells[i].print();
        return CLI_OK;
    }
    return cli_misused(&usage, "unknown shell \"%s\"; known are bash, zsh and fish", argv[1]);
}
