/* The language by its specification, area by area: the files in cases/, which say how they are written. */
#include "expr_unit.h"

#include <dirent.h>
#include <stdio.h>

enum { LINE_MAX_BYTES = 16384, LETS_MAX = 64 };

/* The variables of a file, each from its "let" line on. */
struct lets {
    struct expr_attribute attributes[LETS_MAX];
    struct value values[LETS_MAX];
    size_t count;
};

static bool look_up_let(void *lets, uint16_t id, struct arena *arena, struct value *ret_value)
{
    (void)arena;
    *ret_value = ((struct lets *)lets)->values[id];
    return true;
}

/* What a case is about. */
enum mark { MARK_GIVES, MARK_FAILS, MARK_UNCHECKED, MARK_REFUSED, MARK_TYPE };
static const struct text marks[] = {TEXT_INIT(" => "), TEXT_INIT(" =! "), TEXT_INIT(" =~ "),
                                    TEXT_INIT(" =/ "), TEXT_INIT(" :: ")};

/* Cuts "expression MARK wanted" at its last mark. */
static bool cut(struct text line, struct text *source, enum mark *mark, struct text *wanted)
{
    for (size_t at = line.size; at-- > 0;)
        for (size_t i = 0; i < COUNT_OF(marks); i++)
            if (text_starts_with(text_slice(line, at, line.size), marks[i])) {
                *source = text_trim(text_slice(line, 0, at));
                *wanted = text_trim(text_slice(line, at + marks[i].size, line.size));
                *mark = (enum mark)i;
                return true;
            }
    return false;
}

static struct text run_let(const struct expr *expr, struct lets *lets, struct arena *arena,
                           struct expr_error *error)
{
    struct expr_run run = {
        .lookup = look_up_let, .context = lets, .arena = arena, .now_ns = 1700000000123456789};
    struct value value;
    if (!expr)
        return arena_format(arena, "refused: %s", error->said);
    if (!expr_eval(expr, &run, &value, error))
        return arena_format(arena, "error: %s", error->said);
    return value_to_literal(value, arena);
}

/* In three ways: checked, unchecked, and neither checked nor folded. */
static bool holds(struct text source, enum mark mark, struct text wanted, struct lets *lets,
                  struct arena *arena)
{
    struct expr_environment checked = {lets->attributes, lets->count, false},
                            unchecked_lets = {lets->attributes, lets->count, true};
    struct expr_error error = {0};
    const struct expr *expr = expr_compile(arena, source, &checked, EXPR_DYN, &error);
    struct text got[3] = {run_let(expr, lets, arena, &error)};
    char type[64] = "none";
    if (expr)
        type_write(expr->root->type, type);
    got[1] = run_let(expr_compile(arena, source, &unchecked_lets, EXPR_DYN, &error), lets, arena, &error);
    got[2] =
        run_let(expr_compile_unfolded(arena, source, &unchecked_lets, EXPR_DYN, &error), lets, arena, &error);
    bool right = true;
    for (size_t i = 0; i < 3; i++) {
        bool refused = text_starts_with(got[i], TEXT("refused: ")),
             failed = text_starts_with(got[i], TEXT("error: "));
        switch (mark) {
        case MARK_GIVES: right &= text_equal(got[i], wanted); break;
        case MARK_UNCHECKED: right &= i ? text_equal(got[i], wanted) : refused; break;
        case MARK_REFUSED: right &= refused && text_find(got[i], wanted) != TEXT_NONE; break;
        case MARK_FAILS:
            right &= i ? (failed || refused) && text_find(got[i], wanted) != TEXT_NONE : refused || failed;
            break;
        case MARK_TYPE: right &= text_equal(text_of(type), wanted); break;
        }
    }
    if (!right)
        print_error("checked: %.*s\nunchecked: %.*s\nunfolded: %.*s\ntype: %s\n", TEXT_ARGS(got[0]),
                    TEXT_ARGS(got[1]), TEXT_ARGS(got[2]), type);
    return right;
}

/* "NAME: TYPE = EXPRESSION" */
static bool let(struct text line, struct lets *lets, struct arena *arena)
{
    size_t colon = text_find(line, TEXT(": ")), equals = text_find(line, TEXT(" = "));
    if (colon == TEXT_NONE || equals == TEXT_NONE || lets->count == LETS_MAX)
        return false;
    struct text name = arena_copy(arena, text_slice(line, 0, colon)),
                type = text_slice(line, colon + 2, equals);
    struct expr_attribute *attribute = &lets->attributes[lets->count];
    *attribute = (struct expr_attribute){.name = name.at, .id = (uint16_t)lets->count, .about = ""};
    for (int i = EXPR_DYN; i <= EXPR_OPTIONAL; i++)
        if (text_equal(type, text_of(expr_type_name((enum expr_type)i))))
            attribute->type = (enum expr_type)i;
    struct expr_error error;
    struct expr_run run = {.lookup = look_up_let, .context = lets, .arena = arena};
    const struct expr *expr =
        expr_compile(arena, text_slice(line, equals + 3, line.size), NULL, attribute->type, &error);
    return expr && expr_eval(expr, &run, &lets->values[lets->count++], &error);
}

/* The cases of one file that fail. */
static unsigned run_file(const char *path, unsigned *cases)
{
    char buffer[LINE_MAX_BYTES];
    struct lets lets = {.count = 0};
    struct arena kept, arena;
    unsigned failed = 0, number = 0;
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    arena_init(&kept, 0, 0);
    arena_init(&arena, 0, 0);
    while (fgets(buffer, sizeof buffer, file)) {
        struct text line = text_trim((struct text){buffer, strcspn(buffer, "\n")}), source, wanted;
        enum mark mark;
        number++;
        if (line.size == 0 || line.at[0] == '#')
            continue;
        bool right = text_starts_with(line, TEXT("let "))
                         ? let(text_slice(line, 4, line.size), &lets, &kept)
                         : cut(line, &source, &mark, &wanted) && holds(source, mark, wanted, &lets, &arena);
        if (!right)
            print_error("%s:%u: %.*s\n", path, number, TEXT_ARGS(line));
        failed += !right;
        ++*cases;
        arena_reset(&arena);
    }
    fclose(file);
    arena_release(&arena);
    arena_release(&kept);
    return failed;
}

static void cases_of_the_specification(void **state)
{
    (void)state;
    char path[1024];
    const char *folder = getenv("EXPR_CASES");
    assert_non_null(folder);
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    unsigned failed = 0, cases = 0;
    for (const struct dirent *entry; (entry = readdir(directory));) {
        if (!text_ends_with(text_of(entry->d_name), TEXT(".cases")))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        failed += run_file(path, &cases);
    }
    closedir(directory);
    print_message("# %u cases\n", cases);
    assert_int_equal(failed, 0);
    assert_true(cases > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cases_of_the_specification)};
    return RUN_TESTS(tests);
}
