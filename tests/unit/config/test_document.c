/* Files: the main one, what it includes, how they are merged, and what is watched. */
#include "fixture.h"

#include <sys/stat.h>

static char folder[] = "/tmp/turnpike-document_XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) && chdir(folder) == 0 && mkdir("conf.d", 0755) == 0 ? 0 : -1;
}

static const char *const names[] = {"main.yaml", "conf.d/a.yaml", "conf.d/b.yaml"};

static int remove_files(void **state)
{
    for (size_t i = 0; i < COUNT_OF(names); i++)
        (void)unlink(names[i]); /* not every test made all */
    return tear_down(state);
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir("conf.d") == 0 && chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

#define FILES(test) cmocka_unit_test_setup_teardown(test, set_up, remove_files)

static void write_file(const char *name, const char *content)
{
    FILE *file = fopen(name, "wb");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

static bool read_files(struct fixture *f, const char *main, const char *a, const char *b)
{
    const char *const contents[] = {main, a, b};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (contents[i])
            write_file(names[i], contents[i]);
    return document_read("main.yaml", NULL, &f->arena, &f->report, &f->document);
}

static void a_file_is_read(void **state)
{
    struct fixture *f = *state;
    assert_true(read_files(f, "a: 1\n", NULL, NULL));
    assert_text(value_of(f, "a")->text, "1");
    assert_text(source_name(value_of(f, "a")->place.source), "main.yaml");
}

static void a_missing_file_is_an_error(void **state)
{
    struct fixture *f = *state;
    assert_false(document_read("nothing.yaml", NULL, &f->arena, &f->report, &f->document));
    assert_report(f, "nothing.yaml: error: cannot be opened: No such file or directory\n");
}

static void a_folder_is_an_error(void **state)
{
    struct fixture *f = *state;
    assert_false(document_read("conf.d", NULL, &f->arena, &f->report, &f->document));
    assert_report(f, "conf.d: error: a folder, not a file\n");
}

static void too_large_a_file_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct document_limits limits = {.bytes_max = 3};
    write_file("main.yaml", "a: 12\n");
    assert_false(document_read("main.yaml", &limits, &f->arena, &f->report, &f->document));
    assert_report(f, "main.yaml: error: larger than the limit of 3 bytes\n");
}

static void included_maps_are_merged(void **state)
{
    struct fixture *f = *state;
    assert_true(read_files(f, "include: [\"conf.d/*.yaml\"]\nroutes: { m: 1 }\n",
                           "routes: { a: 2 }\nservices: { s: 3 }\n", "routes: { b: 4 }\npolicies: [p]\n"));
    const struct node *routes = value_of(f, "routes");
    assert_int_equal(routes->count, 3);
    assert_text(routes->keys[1].text, "a"); /* files in the order of their names */
    assert_text(node_get(routes, TEXT("b"))->text, "4");
    assert_text(source_name(node_get(routes, TEXT("b"))->place.source), "conf.d/b.yaml");
    assert_int_equal(value_of(f, "policies")->count, 1);
    assert_null(node_get(&f->document.root, TEXT("include")));
    assert_int_equal(f->report.warnings, 0);
}

static void merging_gives_the_hash_of_one_file(void **state)
{
    struct fixture *f = *state;
    assert_true(read_files(f, "include: \"conf.d/*.yaml\"\nroutes: { m: 1 }\n", "routes: { a: 2 }\n", NULL));
    uint64_t hash = f->document.root.hash;
    assert_true(parse(f, "routes: { m: 1, a: 2 }\n"));
    assert_int_equal(f->document.root.hash, hash);
}

static void all_files_and_patterns_are_watched(void **state)
{
    struct fixture *f = *state;
    assert_true(
        read_files(f, "include: [\"conf.d/*.yaml\", \"conf.d/a.yaml\"]\n", "r: { a: 1 }\n", "r: { b: 2 }\n"));
    assert_int_equal(f->document.files_count, 4);
    const char *const wanted[] = {"/main.yaml", "/conf.d/*.yaml", "/conf.d/a.yaml", "/conf.d/b.yaml"};
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        assert_true(text_ends_with(f->document.files[i].path, text_of(wanted[i])));
        assert_true(text_starts_with(f->document.files[i].path, text_of(folder)));
    }
}

static void a_pattern_of_folders_is_watched_up_to_its_first_special_part(void **state)
{
    struct fixture *f = *state;
    assert_true(read_files(f, "include: \"conf.?/a.yaml\"\n", "r: { a: 1 }\n", NULL));
    assert_int_equal(f->document.files_count, 3);
    assert_true(text_ends_with(f->document.files[1].path, TEXT("/conf.?")));
    assert_true(text_ends_with(f->document.files[2].path, TEXT("/conf.d/a.yaml")));
    assert_true(file_stamp_is_current(&f->document.files[2]));
}

static void a_clash_names_both_places(void **state)
{
    struct fixture *f = *state;
    assert_false(
        read_files(f, "include: [\"conf.d/*.yaml\"]\nroutes: { x: 1 }\n", "routes:\n  x: 2\n", NULL));
    assert_report(f, "conf.d/a.yaml:2:3: error: `x` is also in main.yaml:2:11: one of the two has to go\n");
}

static void a_list_in_two_files_is_an_error(void **state)
{
    struct fixture *f = *state;
    assert_false(read_files(f, "include: [\"conf.d/*.yaml\"]\npolicies: [x]\n", "policies: [y]\n", NULL));
    assert_report(
        f,
        "conf.d/a.yaml:1:1: error: `policies` is also in main.yaml:2:11: only maps are merged, so this belongs in one file\n");
}

static void settings_belong_in_the_main_file(void **state)
{
    struct fixture *f = *state;
    assert_false(read_files(f, "include: [\"conf.d/*.yaml\"]\n", "workers: 2\ninclude: [x]\n", NULL));
    assert_reported(f, "conf.d/a.yaml:1:1: error: `workers` belongs in the main file");
    assert_reported(f, "conf.d/a.yaml:2:1: error: `include` belongs in the main file only");
}

static void errors_of_all_files_come_in_one_run(void **state)
{
    struct fixture *f = *state;
    assert_false(read_files(f, "include: [\"conf.d/*.yaml\"]\n", "a: [\n", "b: !x y\n"));
    assert_reported(f, "conf.d/a.yaml:2:1: error: ");
    assert_reported(f, "conf.d/b.yaml:1:4: error: ");
}

static void a_pattern_without_a_file_is_a_warning(void **state)
{
    struct fixture *f = *state;
    assert_true(read_files(f, "include: [\"conf.d/*.yml\"]\na: 1\n", NULL, NULL));
    assert_report(f, "main.yaml:1:11: warning: include: no file matches `conf.d/*.yml`\n");
}

static void a_folder_that_cannot_be_read_is_an_error(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(symlink("loop", "loop"), 0); /* for root too */
    bool is_read = read_files(f, "include: [\"loop/*.yaml\"]\na: 1\n", NULL, NULL);
    assert_int_equal(unlink("loop"), 0);
    assert_false(is_read);
    assert_reported(f, "main.yaml:1:11: error: include: `loop/*.yaml` matches too many files");
}

static void an_empty_included_file_is_a_warning(void **state)
{
    struct fixture *f = *state;
    assert_true(read_files(f, "include: [\"conf.d/*.yaml\"]\na: 1\n", "# later\n", NULL));
    assert_report(f, "conf.d/a.yaml: warning: this included file holds nothing\n");
}

static void the_main_file_does_not_include_itself(void **state)
{
    struct fixture *f = *state;
    assert_true(read_files(f, "include: [\"*.yaml\"]\na: 1\n", NULL, NULL));
    assert_int_equal(f->report.errors, 0);
}

static void include_wants_paths(void **state)
{
    struct fixture *f = *state;
    assert_false(read_files(f, "include: [{}]\na: 1\n", NULL, NULL));
    assert_reported(f, "main.yaml:1:11: error: include: wants a path such as \"conf.d/*.yaml\", got a map");
}

static void a_path_in_an_included_file_is_relative_to_it(void **state)
{
    struct fixture *f = *state;
    assert_true(
        read_files(f, "include: [\"conf.d/a.yaml\"]\n", "r: { x: \"${file:b.yaml}\" }\n", "found: 1\n"));
    assert_text(node_get(value_of(f, "r"), TEXT("x"))->text, "found: 1");
}

static void special_characters_of_the_folder_are_not_a_pattern(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkdir("[x]*", 0755), 0);
    write_file("[x]*/main.yaml", "include: [\"b?.yaml\"]\n");
    write_file("[x]*/b1.yaml", "r: { x: 1 }\n");
    bool was_read = document_read("[x]*/main.yaml", NULL, &f->arena, &f->report, &f->document);
    unlink("[x]*/main.yaml");
    unlink("[x]*/b1.yaml");
    rmdir("[x]*");
    assert_true(was_read);
    assert_int_equal(value_of(f, "r")->count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILES(a_file_is_read),
        FILES(a_missing_file_is_an_error),
        FILES(a_folder_is_an_error),
        FILES(too_large_a_file_is_an_error),
        FILES(included_maps_are_merged),
        FILES(a_folder_that_cannot_be_read_is_an_error),
        FILES(merging_gives_the_hash_of_one_file),
        FILES(all_files_and_patterns_are_watched),
        FILES(a_pattern_of_folders_is_watched_up_to_its_first_special_part),
        FILES(a_clash_names_both_places),
        FILES(a_list_in_two_files_is_an_error),
        FILES(settings_belong_in_the_main_file),
        FILES(errors_of_all_files_come_in_one_run),
        FILES(a_pattern_without_a_file_is_a_warning),
        FILES(an_empty_included_file_is_a_warning),
        FILES(the_main_file_does_not_include_itself),
        FILES(include_wants_paths),
        FILES(a_path_in_an_included_file_is_relative_to_it),
        FILES(special_characters_of_the_folder_are_not_a_pattern),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
