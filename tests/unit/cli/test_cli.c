/* Reading of options. */
#include "cli/cli.h"

#include <fcntl.h>

#include "unit.h"

static const struct cli_usage usage = {
    .command = "try",
    .arguments = "METHOD URL",
    .summary = "try it",
    .more = "More.\n",
    .arguments_min = 0,
    .arguments_max = 2,
};

static const char *config;
static bool json, verbose;
static struct cli_list headers;
static char *words[16];
static int words_count;

static const struct cli_option options[] = {
    CLI_TEXT('c', "config", "FILE", "the configuration", &config),
    CLI_LIST('H', "header", "FIELD", "a header field", &headers),
    CLI_FLAG('v', "verbose", "say more", &verbose),
    CLI_JSON(&json),
    CLI_END,
};

/* The output, one of the streams, that `run` leaves behind. */
static const char *output_of(int stream, int (*run)(void), int *ret_status)
{
    static char text[4096];
    int ends[2], kept = dup(stream);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fflush(stdout);
    dup2(ends[1], stream);
    *ret_status = run();
    fflush(stdout);
    dup2(kept, stream);
    close(kept);
    close(ends[1]);
    ssize_t size = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

static int parse_words(void)
{
    return cli_parse(&usage, options, &words_count, words);
}

#define SET_WORDS(...) set_words((const char *[]){"try", ##__VA_ARGS__, NULL})

static void set_words(const char **given)
{
    config = NULL;
    json = verbose = false;
    headers.count = 0;
    for (words_count = 0; given[words_count]; words_count++)
        words[words_count] = (char *)given[words_count];
    words[words_count] = NULL;
}

#define assert_misused(wanted, ...)                                                                          \
    do {                                                                                                     \
        int status_;                                                                                         \
        SET_WORDS(__VA_ARGS__);                                                                              \
        assert_string_equal(output_of(STDERR_FILENO, parse_words, &status_),                                 \
                            "turnpike try: " wanted "\nTry: turnpike try --help\n");                         \
        assert_int_equal(status_, CLI_USAGE);                                                                \
    } while (0)

static void options_and_arguments_mix(void **state)
{
    (void)state;
    SET_WORDS("GET", "-c", "file", "--json", "-H", "a: b", "/path", "--header=c: d");
    assert_int_equal(parse_words(), CLI_GO);
    assert_string_equal(config, "file");
    assert_true(json);
    assert_false(verbose);
    assert_int_equal(headers.count, 2);
    assert_string_equal(headers.at[0], "a: b");
    assert_string_equal(headers.at[1], "c: d");
    assert_int_equal(words_count, 3);
    assert_string_equal(words[1], "GET");
    assert_string_equal(words[2], "/path");
    assert_null(words[3]);
}

static void letters_may_be_joined(void **state)
{
    (void)state;
    SET_WORDS("-vcfile");
    assert_int_equal(parse_words(), CLI_GO);
    assert_true(verbose);
    assert_string_equal(config, "file");
}

static void double_dash_ends_options(void **state)
{
    (void)state;
    SET_WORDS("--", "-v", "-");
    assert_int_equal(parse_words(), CLI_GO);
    assert_false(verbose);
    assert_int_equal(words_count, 3);
    assert_string_equal(words[1], "-v");
    assert_string_equal(words[2], "-");
}

static void misuse_is_explained(void **state)
{
    (void)state;
    assert_misused("unknown option --confg; did you mean --config?", "--confg");
    assert_misused("unknown option --zzzzzzzz", "--zzzzzzzz=1");
    assert_misused("unknown option -x", "-vx");
    assert_misused("option -c needs a value: FILE", "-c");
    assert_misused("option --config needs a value: FILE", "--config");
    assert_misused("option --json takes no value", "--json=yes");
    assert_misused("unexpected argument \"c\"", "a", "b", "c");
}

static void missing_arguments_are_named(void **state)
{
    (void)state;
    struct cli_usage strict = usage;
    strict.arguments_min = 2;
    SET_WORDS("GET");
    int quiet = open("/dev/null", O_WRONLY), kept = dup(STDERR_FILENO);
    dup2(quiet, STDERR_FILENO);
    int status = cli_parse(&strict, options, &words_count, words);
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(quiet);
    assert_int_equal(status, CLI_USAGE);
}

static void too_many_values_are_refused(void **state)
{
    (void)state;
    const char *given[3 * CLI_LIST_MAX] = {"try"};
    char *many[3 * CLI_LIST_MAX];
    int count = 1;
    while (count < CLI_LIST_MAX + 2)
        given[count++] = "-Hx";
    for (int i = 0; i < count; i++)
        many[i] = (char *)given[i];
    many[count] = NULL;
    headers.count = 0;
    assert_int_equal(cli_parse(&usage, options, &count, many), CLI_USAGE);
}

static void help_comes_from_the_table(void **state)
{
    (void)state;
    int status;
    SET_WORDS("--help");
    assert_string_equal(output_of(STDOUT_FILENO, parse_words, &status),
                        "Usage: turnpike try [OPTION]... METHOD URL\n\nTry it.\n\nMore.\n\nOptions:\n"
                        "  -c, --config FILE     the configuration\n"
                        "  -H, --header FIELD    a header field\n"
                        "  -v, --verbose         say more\n"
                        "      --json            print JSON, for programs\n"
                        "  -h, --help            print this\n");
    assert_int_equal(status, CLI_OK);
}

static const char *word_at(const void *context, size_t i)
{
    return ((const char *const *)context)[i];
}

static void near_misses_are_near(void **state)
{
    (void)state;
    static const char *const names[] = {"run", "check", "schema", "policies", NULL};
    assert_string_equal(cli_near_miss("chekc", word_at, names), "check");
    assert_string_equal(cli_near_miss("rn", word_at, names), "run");
    assert_string_equal(cli_near_miss("policy", word_at, names) ? "some" : "none", "none");
    assert_null(cli_near_miss("xyz", word_at, names));
}

static int print_awkward(void)
{
    cli_print_json(stdout, TEXT("a\"b\\\n\xc3\xa9\xff"));
    return 0;
}

static int print_lengthy(void)
{
    char text[1000];
    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    cli_print_json(stdout,
                   (struct text){text + 1, sizeof text - 1}); /* begins within a character: never aligned */
    return 0;
}

static void json_strings_are_escaped(void **state)
{
    (void)state;
    int status;
    assert_string_equal(output_of(STDOUT_FILENO, print_awkward, &status),
                        "\"a\\\"b\\\\\\u000a\xc3\xa9\xef\xbf\xbd\"");
    assert_int_equal(strlen(output_of(STDOUT_FILENO, print_lengthy, &status)), 2 + 3 + 998);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_arguments_mix),   cmocka_unit_test(letters_may_be_joined),
        cmocka_unit_test(double_dash_ends_options),    cmocka_unit_test(misuse_is_explained),
        cmocka_unit_test(missing_arguments_are_named), cmocka_unit_test(too_many_values_are_refused),
        cmocka_unit_test(help_comes_from_the_table),   cmocka_unit_test(near_misses_are_near),
        cmocka_unit_test(json_strings_are_escaped),
    };
    return RUN_TESTS(tests);
}
