/* From a character of a scalar's text back to its place in the file. */
#include "fixture.h"

/* Where the first `#` in the text of `a` stands in the file. */
static void points_to(struct fixture *f, const char *yaml, uint32_t line, uint32_t column)
{
    assert_true(parse(f, yaml));
    const struct node *node = value_of(f, "a");
    uint32_t line_in = 1, column_in = 1;
    for (size_t i = 0; i < node->text.size && node->text.at[i] != '#'; i++) {
        column_in =
            node->text.at[i] == '\n' ? 1 : column_in + (((unsigned char)node->text.at[i] & 0xc0) != 0x80);
        line_in += node->text.at[i] == '\n';
    }
    struct place place = node_place_within(node, line_in, column_in);
    assert_int_equal(place.line, line);
    assert_int_equal(place.column, column);
}

static void in_plain_text(void **state)
{
    points_to(*state, "a: one#two\n", 1, 7);
}

static void in_single_quotes(void **state)
{
    points_to(*state, "a: 'it''s # here'\n", 1, 11);
}

static void in_double_quotes_with_escapes(void **state)
{
    points_to(*state, "a: \"\\\"x\\u00e9\\x41\\n\\U0001F600 #\"\n", 1, 31);
}

static void behind_characters_of_several_bytes(void **state)
{
    points_to(*state, "a: '\xc3\xa4\xe2\x82\xac #'\n", 1, 8);
}

static void behind_an_anchor(void **state)
{
    points_to(*state, "a: &name  'x #'\n", 1, 14);
}

static void in_plain_text_over_lines(void **state)
{
    points_to(*state, "a: one\n  two\n  x#\n", 3, 4);
}

static void in_quotes_over_lines(void **state)
{
    points_to(*state, "a: \"one\n    two #\"\n", 2, 9);
}

static void in_a_literal_block(void **state)
{
    points_to(*state, "a: |\n  one\n\n    x #\n", 4, 7);
}

static void in_a_folded_block(void **state)
{
    points_to(*state, "a: >-\n  one\n  two #\n", 3, 7);
}

static void past_the_end_stays_at_the_end(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "a: 'xy'\n"));
    struct place place = node_place_within(value_of(f, "a"), 1, 1000);
    assert_int_equal(place.line, 1);
    assert_int_equal(place.column, 7);
}

static void without_a_file_it_is_the_scalars_own(void **state)
{
    (void)state;
    struct node node = {.kind = NODE_SCALAR, .text = TEXT("abc"), .place = {NULL, 3, 4}};
    struct place place = node_place_within(&node, 1, 2);
    assert_int_equal(place.line, 3);
    assert_int_equal(place.column, 4);
}

static void where_a_reference_was_put_in_it_is_the_scalars_own(void **state)
{
    struct fixture *f = *state;
    setenv("TURNPIKE_TEST", "long text", 1);
    assert_true(parse(f, "a: '${env:TURNPIKE_TEST} #'\n"));
    struct place place = node_place_within(value_of(f, "a"), 1, 11);
    assert_int_equal(place.column, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(in_plain_text),
        CASE(in_single_quotes),
        CASE(in_double_quotes_with_escapes),
        CASE(behind_characters_of_several_bytes),
        CASE(behind_an_anchor),
        CASE(in_plain_text_over_lines),
        CASE(in_quotes_over_lines),
        CASE(in_a_literal_block),
        CASE(in_a_folded_block),
        CASE(past_the_end_stays_at_the_end),
        CASE(without_a_file_it_is_the_scalars_own),
        CASE(where_a_reference_was_put_in_it_is_the_scalars_own),
    };
    return RUN_TESTS(tests);
}
