/* From YAML and JSON to the tree: kinds, places, anchors, merge keys, and what is refused. */
#include "fixture.h"

static void refused(struct fixture *f, const char *yaml, const char *wanted)
{
    assert_false(parse(f, yaml));
    assert_reported(f, wanted);
}

static void scalars_lists_and_maps_become_nodes(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "a: text\nb: [1, 2]\nc: { d: e }\nf:\n"));
    assert_int_equal(f->document.root.count, 4);
    assert_int_equal(value_of(f, "a")->kind, NODE_SCALAR);
    assert_text(value_of(f, "a")->text, "text");
    assert_int_equal(value_of(f, "b")->kind, NODE_LIST);
    assert_text(value_of(f, "b")->items[1].text, "2");
    assert_text(node_get(value_of(f, "c"), TEXT("d"))->text, "e");
    assert_int_equal(value_of(f, "f")->kind, NODE_NULL);
}

static void the_words_for_null_are_null_unless_quoted(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "a: ~\nb: null\nc: \"null\"\nd: nullify\n"));
    assert_int_equal(value_of(f, "a")->kind, NODE_NULL);
    assert_int_equal(value_of(f, "b")->kind, NODE_NULL);
    assert_int_equal(value_of(f, "c")->kind, NODE_SCALAR);
    assert_int_equal(value_of(f, "d")->kind, NODE_SCALAR);
}

static void quotes_and_blocks_are_remembered(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "a: 1\nb: '1'\nc: \"1\"\nd: |\n  1\n"));
    assert_false(value_of(f, "a")->quoted);
    assert_true(value_of(f, "b")->quoted);
    assert_true(value_of(f, "c")->quoted);
    assert_true(value_of(f, "d")->quoted);
}

static void every_node_has_its_place(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "a:\n  - \xc3\xa4\xc3\xb6: x\n"));
    const struct node *map = &value_of(f, "a")->items[0];
    assert_int_equal(map->keys[0].place.line, 2);
    assert_int_equal(map->keys[0].place.column, 5);
    assert_int_equal(map->items[0].place.column, 9); /* in characters */
    assert_text(source_name(map->place.source), "t.yaml");
}

static void json_is_read(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "{\"a\":[1,true,null,\"x\\u00e9\\/\"],\n\t\"b\":{\"c\":\"d\"}}"));
    assert_text(value_of(f, "a")->items[3].text, "x\xc3\xa9/");
    assert_int_equal(value_of(f, "a")->items[2].kind, NODE_NULL);
    assert_text(node_get(value_of(f, "b"), TEXT("c"))->text, "d");
}

static void a_byte_order_mark_is_skipped(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "\xef\xbb\xbf"
                         "a: 1\n"));
    assert_int_equal(f->document.root.keys[0].place.column, 1);
}

static void an_alias_shares_what_its_anchor_holds(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "a: &x [1, 2]\nb: *x\n"));
    assert_ptr_equal(value_of(f, "a")->items, value_of(f, "b")->items);
    assert_int_equal(value_of(f, "b")->place.line, 2);
    assert_int_equal(value_of(f, "a")->hash, value_of(f, "b")->hash);
}

static void the_latest_anchor_of_a_name_counts(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "a: &x 1\nb: &x 2\nc: *x\n"));
    assert_text(value_of(f, "c")->text, "2");
}

static void a_merge_key_adds_what_is_not_there(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "base: &b { x: 1, y: 2 }\nm: { a: 0, <<: *b, y: 3 }\n"));
    const struct node *merged = value_of(f, "m");
    assert_int_equal(merged->count, 3);
    assert_text(merged->keys[1].text, "x"); /* where the merge key stood */
    assert_text(node_get(merged, TEXT("y"))->text, "3");
}

static void of_merged_maps_the_first_wins(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "p: &p { x: 1 }\nq: &q { x: 2, z: 4 }\nm: { <<: [*p, *q] }\n"));
    assert_text(node_get(value_of(f, "m"), TEXT("x"))->text, "1");
    assert_text(node_get(value_of(f, "m"), TEXT("z"))->text, "4");
}

static void a_quoted_merge_key_is_a_key(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "m: { '<<': 1 }\n"));
    assert_text(node_get(value_of(f, "m"), TEXT("<<"))->text, "1");
}

static void a_merge_key_wants_maps(void **state)
{
    refused(*state, "m: { <<: 1 }\n", "t.yaml:1:10: error: `<<` wants a map");
}

static void a_key_twice_names_both_places(void **state)
{
    refused(*state, "a: 1\nb: 2\n'a': 3\n",
            "t.yaml:3:1: error: the key `a` is here for the second time; the first is on line 1, column 1");
}

static void a_key_twice_in_a_large_map_is_found(void **state)
{
    struct fixture *f = *state;
    char yaml[8192];
    size_t size = 0;
    for (int i = 0; i < 500; i++)
        size += (size_t)snprintf(yaml + size, sizeof yaml - size, "k%d: 1\n", i);
    snprintf(yaml + size, sizeof yaml - size, "k250: 2\n");
    refused(f, yaml,
            "t.yaml:501:1: error: the key `k250` is here for the second time; the first is on line 251");
}

static void all_repeated_keys_are_reported(void **state)
{
    struct fixture *f = *state;
    assert_false(parse(f, "a: 1\na: 2\nb: { c: 1, c: 2 }\n"));
    assert_int_equal(f->report.errors, 2);
}

static void tags_are_refused(void **state)
{
    refused(*state, "a: !secret x\n", "t.yaml:1:4: error: tags such as !name are not used here");
}

static void a_second_document_is_refused(void **state)
{
    refused(*state, "a: 1\n---\nb: 2\n", "t.yaml:2:1: error: a second document begins here");
}

static void an_unknown_alias_is_refused(void **state)
{
    refused(*state, "a: *nobody\n", "t.yaml:1:4: error: no anchor of this name");
}

static void an_alias_within_its_own_anchor_is_refused(void **state)
{
    refused(*state, "a: &x [*x]\n", "t.yaml:1:8: error: no anchor of this name");
}

static void a_list_as_key_is_refused(void **state)
{
    refused(*state, "{ [a]: b }\n", "t.yaml:1:3: error: a key must be text");
}

static void a_reference_as_key_is_refused(void **state)
{
    refused(*state, "'${env:TURNPIKE_TEST}': 1\n", "t.yaml:1:1: error: a reference cannot be a key");
    setenv("TURNPIKE_TEST", "hidden", 1);
    refused(*state, "a: &x '${env:TURNPIKE_TEST}'\nb: { *x : 1 }\n",
            "t.yaml:2:6: error: a reference cannot be a key");
    assert_null(strstr(printed(*state, true), "hidden"));
}

static void an_empty_document_is_refused(void **state)
{
    refused(*state, "# only a comment\n", "t.yaml: error: the configuration is empty");
}

static void a_list_at_the_top_is_refused(void **state)
{
    refused(*state, "- a\n", "t.yaml:1:1: error: the configuration has to be a map");
}

static void a_tab_is_named(void **state)
{
    refused(*state, "a:\n\tb: 1\n", "t.yaml:2:1: error: a tab stands here");
}

static void an_unquoted_template_in_braces_is_named(void **state)
{
    refused(*state, "a: { b: ${env:X} }\n", "put text with `${...}` in quotes");
}

static void an_open_quote_names_its_beginning(void **state)
{
    refused(*state, "a: 1\nb: \"x\nc: d\n",
            "the closing quote is missing (while scanning a quoted scalar that begins on line 2)");
}

static void an_open_bracket_is_named(void **state)
{
    refused(*state, "a: [1, 2\nb: 3\n", "a list in `[ ]` is not closed here");
}

static void a_zero_byte_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_false(parse_text(f, TEXT("a: 1\nb: \0\n")));
    assert_reported(f, "t.yaml:2:4: error: a zero byte: this is not a text file");
}

static void an_escaped_zero_byte_is_refused(void **state)
{
    refused(*state, "a: \"x\\0y\"\n", "t.yaml:1:4: error: a zero byte in text");
}

static void malformed_utf8_is_refused(void **state)
{
    refused(*state, "a: \xff\n", "t.yaml:1:4: error: this is not UTF-8 text");
}

static void utf16_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_false(parse_text(f, TEXT("\xff\xfe"
                                    "a\0:\0 \0b\0")));
    assert_reported(f, "not UTF-8");
}

static void a_control_character_is_refused(void **state)
{
    refused(*state, "a: \x1b[31m\n", "t.yaml:1:4: error: the character U+001B is not allowed here");
}

static void deep_nesting_is_refused(void **state)
{
    char deep[400];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    refused(*state, deep, "t.yaml:1:65: error: nested too deeply");
}

static void aliases_do_not_hide_depth(void **state)
{
    struct fixture *f = *state;
    struct document_limits limits = {.depth_max = 6};
    struct text yaml = TEXT("a: &a [[[1]]]\nb: [[[*a]]]\n");
    assert_false(document_parse(yaml, TEXT("t.yaml"), &limits, &f->arena, &f->report, &f->document));
    assert_reported(f, "t.yaml:2:7: error: nested too deeply");
}

static void an_alias_bomb_is_counted_and_costs_nothing(void **state)
{
    struct fixture *f = *state;
    char yaml[4096];
    size_t size = (size_t)snprintf(yaml, sizeof yaml, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 20; i++)
        size += (size_t)snprintf(yaml + size, sizeof yaml - size,
                                 "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n",
                                 i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    refused(f, yaml, "too many values, counting what aliases stand for");
    assert_true(f->arena.used < 100000);
}

static void too_large_a_text_is_refused(void **state)
{
    struct fixture *f = *state;
    struct document_limits limits = {.bytes_max = 4};
    assert_false(document_parse(TEXT("a: 12"), TEXT("t"), &limits, &f->arena, &f->report, &f->document));
    assert_reported(f, "error: larger than the limit of 4 bytes");
}

static uint64_t hash_of(struct fixture *f, const char *yaml)
{
    assert_true(parse(f, yaml));
    return f->document.root.hash;
}

static void equal_content_has_equal_hashes(void **state)
{
    struct fixture *f = *state;
    uint64_t hash = hash_of(f, "a: { b: [1, x] } # comment\n");
    assert_int_equal(hash, hash_of(f, "\n\na:\n  b:\n    - 1\n    - \"x\"\n"));
    assert_int_equal(hash, hash_of(f, "{\"a\": {'b': [1, 'x']}}"));
}

static void different_content_has_different_hashes(void **state)
{
    struct fixture *f = *state;
    const char *const different[] = {"a: 1",
                                     "a: '1'",
                                     "a: 2",
                                     "b: 1",
                                     "a: [1]",
                                     "a: [[1]]",
                                     "a: [1, 2]",
                                     "a: [2, 1]",
                                     "a: { b: c, d: e }",
                                     "a: { d: e, b: c }",
                                     "a: ",
                                     "a: ''",
                                     "a: []",
                                     "a: {}",
                                     "a: { b: }"};
    uint64_t hashes[COUNT_OF(different)];
    for (size_t i = 0; i < COUNT_OF(different); i++) {
        hashes[i] = hash_of(f, different[i]);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(hashes[i], hashes[k]);
    }
}

static void node_get_finds_nothing_in_what_is_no_map(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "a: [b]\n"));
    assert_null(node_get(value_of(f, "a"), TEXT("b")));
    assert_null(node_get(NULL, TEXT("b")));
    assert_null(node_get(&f->document.root, TEXT("b")));
}

static void a_long_value_is_cut_between_characters(void **state)
{
    struct fixture *f = *state;
    struct node node = {.kind = NODE_SCALAR,
                        .text = TEXT("123456789 123456789 123456789 123456789 123456789 123456789\xc3\xa4")};
    assert_text(node_show(&node, &f->notes),
                "`123456789 123456789 123456789 123456789 123456789 123456789...`");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(scalars_lists_and_maps_become_nodes),
        CASE(the_words_for_null_are_null_unless_quoted),
        CASE(quotes_and_blocks_are_remembered),
        CASE(every_node_has_its_place),
        CASE(json_is_read),
        CASE(a_byte_order_mark_is_skipped),
        CASE(an_alias_shares_what_its_anchor_holds),
        CASE(the_latest_anchor_of_a_name_counts),
        CASE(a_merge_key_adds_what_is_not_there),
        CASE(of_merged_maps_the_first_wins),
        CASE(a_quoted_merge_key_is_a_key),
        CASE(a_merge_key_wants_maps),
        CASE(a_key_twice_names_both_places),
        CASE(a_key_twice_in_a_large_map_is_found),
        CASE(all_repeated_keys_are_reported),
        CASE(tags_are_refused),
        CASE(a_second_document_is_refused),
        CASE(an_unknown_alias_is_refused),
        CASE(an_alias_within_its_own_anchor_is_refused),
        CASE(a_list_as_key_is_refused),
        CASE(a_reference_as_key_is_refused),
        CASE(an_empty_document_is_refused),
        CASE(a_list_at_the_top_is_refused),
        CASE(a_tab_is_named),
        CASE(an_unquoted_template_in_braces_is_named),
        CASE(an_open_quote_names_its_beginning),
        CASE(an_open_bracket_is_named),
        CASE(a_zero_byte_is_refused),
        CASE(an_escaped_zero_byte_is_refused),
        CASE(malformed_utf8_is_refused),
        CASE(utf16_is_refused),
        CASE(a_control_character_is_refused),
        CASE(deep_nesting_is_refused),
        CASE(aliases_do_not_hide_depth),
        CASE(an_alias_bomb_is_counted_and_costs_nothing),
        CASE(too_large_a_text_is_refused),
        CASE(equal_content_has_equal_hashes),
        CASE(different_content_has_different_hashes),
        CASE(node_get_finds_nothing_in_what_is_no_map),
        CASE(a_long_value_is_cut_between_characters),
    };
    return RUN_TESTS(tests);
}
