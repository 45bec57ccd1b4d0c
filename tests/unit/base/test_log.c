/* The program's log: levels, both formats, escaping, cutting, and lines from several threads. */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"

static char last[8192];
static size_t last_size;
static unsigned lines;

static void keep(struct text line)
{
    memcpy(last, line.at, line.size);
    last_size = line.size;
    lines++;
}

/* The last line from `start` on, without its newline. */
static struct text line_from(const char *start)
{
    struct text line = {last, last_size};
    assert_true(text_ends_with(line, TEXT("\n")));
    size_t at = text_find(line, text_of(start));
    assert_int_not_equal(at, TEXT_NONE);
    return text_slice(line, at, line.size - 1);
}

static int set_up(void **state)
{
    (void)state;
    log_set_sink(keep);
    log_set_level(LOG_INFO);
    log_set_format(LOG_FORMAT_TEXT);
    lines = 0;
    return 0;
}

static void fields_below_the_level_are_not_evaluated(void **state)
{
    (void)state;
    int evaluated = 0;
    log_debug("hidden", LOG_INT("n", ++evaluated));
    assert_int_equal(evaluated, 0);
    log_set_level(LOG_DEBUG);
    log_debug("shown", LOG_INT("n", ++evaluated));
    assert_int_equal(evaluated, 1);
    assert_int_equal(lines, 1);
}

static void a_text_line_has_level_message_and_fields(void **state)
{
    (void)state;
    log_warn("slow", LOG_STRING("route", "read-order"), LOG_INT("ms", -5), LOG_STRING("path", "/a b"));
    assert_text(line_from("warn: "), "warn: slow route=read-order ms=-5 path=\"/a b\"");
    log_error("alone");
    assert_text(line_from("error: "), "error: alone");
}

static void a_json_line_has_level_message_and_fields(void **state)
{
    (void)state;
    log_set_format(LOG_FORMAT_JSON);
    log_info("slow", LOG_STRING("route", "a\"b\\c"), LOG_INT("ms", INT64_MIN), LOG_STRING("none", ""));
    assert_text(line_from(",\"level\""), ",\"level\":\"info\",\"message\":\"slow\",\"route\":\"a\\\"b\\\\c\","
                                         "\"ms\":-9223372036854775808,\"none\":\"\"}");
}

static void a_value_cannot_forge_a_line_or_a_field(void **state)
{
    (void)state;
    log_info("x", LOG_TEXT("path", TEXT("/a\n2024 error: \"forged\"\x7f\0")));
    assert_text(line_from("path="), "path=\"/a\\u000a2024 error: \\\"forged\\\"\\u007f\\u0000\"");
}

static void a_line_that_is_too_long_is_cut_and_stays_json(void **state)
{
    (void)state;
    static char big[6000];
    memset(big, 'x', sizeof big);
    log_set_format(LOG_FORMAT_JSON);
    struct text value = {big, sizeof big};
    log_info("cut", LOG_TEXT("first", value), LOG_INT("second", 123456), LOG_STRING("third", "x"),
             LOG_TEXT("last", value));
    assert_true(last_size <= 4096);
    struct text line = line_from("{");
    assert_true(text_ends_with(line, TEXT("xx\"}")));
    for (size_t size = 3500; size < 4100; size++) { /* wherever the cut falls */
        log_info("cut", LOG_TEXT("first", text_slice(value, 0, size)), LOG_INT("second", 123456),
                 LOG_INT("third", 7));
        assert_true(last_size <= 4096);
        line = line_from("{");
        assert_true(text_ends_with(line, TEXT("x\"}")) || text_ends_with(line, TEXT("\"second\":123456}"))
                    || text_ends_with(line, TEXT("\"third\":7}")));
    }
}

static void escaping_replaces_bytes_that_are_not_utf8(void **state)
{
    (void)state;
    char to[64];
    struct text value = TEXT("\xc3\xa9|\xc3|\xed\xa0\x80|\xf0\x9f\x9a\xa6|\xff");
    size_t size = log_escape_json(value, to, sizeof to);
    assert_text(((struct text){to, size}),
                "\xc3\xa9|\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|\xf0\x9f\x9a\xa6|\xef\xbf\xbd");
}

static void escaping_cuts_between_characters(void **state)
{
    (void)state;
    struct text value = TEXT("a\n\xc3\xa9\"");
    for (size_t room = 0; room <= 16; room++) {
        char to[16];
        size_t size = log_escape_json(value, to, room);
        assert_true(size <= room);
        assert_true(size == 0 || size == 1 || size == 7 || size == 9 || size == 11);
    }
}

static void levels_have_names(void **state)
{
    (void)state;
    enum log_level level = LOG_INFO;
    assert_true(log_level_parse(TEXT("error"), &level));
    assert_int_equal(level, LOG_ERROR);
    assert_false(log_level_parse(TEXT("ERROR"), &level));
    assert_false(log_level_parse(TEXT(""), &level));
    assert_int_equal(level, LOG_ERROR);
}

static _Atomic unsigned whole_lines;

static void count_whole(struct text line)
{
    bool whole = text_ends_with(line, TEXT("\n")) && text_find_char(line, '\n') == line.size - 1
                 && text_find(line, TEXT("info: from thread n=")) != TEXT_NONE;
    whole_lines += whole;
}

static void *log_much(void *unused)
{
    (void)unused;
    for (int i = 0; i < 500; i++) {
        log_info("from thread", LOG_INT("n", i));
        log_set_format(LOG_FORMAT_TEXT);
    }
    return NULL;
}

static void lines_from_several_threads_are_whole(void **state)
{
    (void)state;
    pthread_t threads[4];
    log_set_sink(count_whole);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_much, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(whole_lines, 2000);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fields_below_the_level_are_not_evaluated),
        TEST(a_text_line_has_level_message_and_fields),
        TEST(a_json_line_has_level_message_and_fields),
        TEST(a_value_cannot_forge_a_line_or_a_field),
        TEST(a_line_that_is_too_long_is_cut_and_stays_json),
        TEST(escaping_replaces_bytes_that_are_not_utf8),
        TEST(escaping_cuts_between_characters),
        TEST(levels_have_names),
        TEST(lines_from_several_threads_are_whole),
    };
    return RUN_TESTS(tests);
}
