/* Evaluation of expressions that the input makes by a grammar, so that nearly all of them are well typed and go deep: folded, unfolded and
 * checked they give the same; what they give has the checker's type and reads back from its literal; no more steps are taken than the cost
 * bound says, as all lists and texts are of usual size; and the same evaluation gives the same again. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"
#include "expr/compiler.h"
#include "expr/expr.h"

enum { SOURCE_MAX = 8192, DEPTH = 7, GROWTH_DEPTH = 2, BYTES_MAX = 16 << 20 };
enum { TEXT_S, TEXT_T, NUMBER, UNSIGNED, REAL, LIST, MAP, ANY, INSTANT };

static const struct expr_attribute attributes[] = {
    {"s", EXPR_STRING, EXPR_DYN, TEXT_S, ""},
    {"a.t", EXPR_STRING, EXPR_DYN, TEXT_T, ""},
    {"n", EXPR_INT, EXPR_DYN, NUMBER, ""},
    {"u", EXPR_UINT, EXPR_DYN, UNSIGNED, ""},
    {"r", EXPR_DOUBLE, EXPR_DYN, REAL, ""},
    {"l", EXPR_LIST, EXPR_INT, LIST, ""},
    {"m", EXPR_MAP, EXPR_INT, MAP, ""},
    {"any", EXPR_DYN, EXPR_DYN, ANY, ""},
    {"at", EXPR_TIMESTAMP, EXPR_DYN, INSTANT, ""},
};

static bool look_up(void *ignored, uint16_t id, struct arena *arena, struct value *ret_value)
{
    (void)ignored;
    switch (id) {
    case TEXT_S: *ret_value = value_string(TEXT("h\303\251llo")); return true;
    case TEXT_T: *ret_value = value_string(TEXT("")); return true;
    case NUMBER: *ret_value = value_int(3); return true;
    case UNSIGNED: *ret_value = value_uint(1ull << 63); return true;
    case REAL: *ret_value = value_double(-0.5); return true;
    case LIST: return value_from_json(TEXT("[3,1,2,1]"), arena, ret_value, NULL);
    case MAP: return value_from_json(TEXT("{\"a\":1,\"b\":2}"), arena, ret_value, NULL);
    case ANY: return value_from_json(TEXT("{\"a\":[1,null],\"b\":\"x\"}"), arena, ret_value, NULL);
    case INSTANT: *ret_value = value_timestamp(1700000000123456789); return true;
    default: return false;
    }
}

/* The input as choices, and the source under construction. */
struct generator {
    const uint8_t *data;
    size_t size;
    char source[SOURCE_MAX];
    size_t length;
    unsigned variables; /* v0, v1...: ints that macros have bound */
};

static unsigned choose(struct generator *g, unsigned below)
{
    if (!g->size)
        return 0;
    g->size--;
    return *g->data++ % below;
}

static void put(struct generator *g, const char *text)
{
    size_t size = strlen(text);
    if (g->length + size < SOURCE_MAX) {
        memcpy(g->source + g->length, text, size);
        g->length += size;
    } else {
        g->length = SOURCE_MAX; /* too long: it is given up */
    }
}

enum sort { BOOL, INT, UINT, DOUBLE, STRING, INTS, ENTRIES, OPTIONAL, SPAN, TIME, SORTS };

static const char *const leaves[SORTS][8] = {
    [BOOL] = {"true", "false", "any.b == 'x'", "has(m.c)", "n > 2", "'a' in m", "type(any.a) == list",
              "1 / n == 0"},
    [INT] = {"0", "1", "-1", "n", "9223372036854775807", "any.a[0]", "m.b", "size(s)"},
    [UINT] = {"0u", "1u", "u", "18446744073709551615u", "uint(n)", "7u", "2u", "uint(size(l))"},
    [DOUBLE] = {"0.0", "-0.0", "r", "1.5", "1e308", "0.0 / 0.0", "double(n)", "1.0 / 3.0"},
    [STRING] = {"''", "'a'", "s", "a.t", "'\\u00e9x'", "any.b", "string(n)", "'a,b'"},
    [INTS] = {"[]", "[1, 2]", "l", "[n, 0]", "any.a", "lists.range(n)", "[3, 3, 1]", "m.map(k, m[k])"},
    [ENTRIES] = {"{}", "m", "{'a': n}", "{'x': 1, 'y': 2}", "{s: 1}", "{?'q': m.?a}",
                 "{'a': 1, 'b': 2, 'c': 3}", "m"},
    [OPTIONAL] = {"optional.none()", "optional.of(1)", "m.?a", "m.?z", "l[?0]", "l[?9]",
                  "optional.ofNonZeroValue(n)", "l.first()"},
    [SPAN] = {"duration('0s')", "duration('1h')", "duration('-1.5s')", "at - timestamp(0)", "duration('1ns')",
              "duration('100000h')", "at - at", "duration('-1ns')"},
    [TIME] = {"at", "timestamp(0)", "timestamp('9999-12-31T23:59:59Z')", "now",
              "timestamp('0001-01-01T00:00:00Z')", "timestamp(n)", "at", "now"},
};

/* What a sort is made of: $b $i $u $d $s $l $m $o $p $t are expressions of the sorts above in their order, $v names a new variable of the
 * macro, $w is a variable that is bound, and $< ends its scope. */
static const char *const forms[SORTS][16] = {
    [BOOL] = {"($b && $b)", "($b || $b)", "!$b", "($i < $i)", "($s == $s)", "($l == $l)", "($i in $l)",
              "$l.all($v, $b)$<", "$l.exists($v, $b)$<", "$s.startsWith($s)", "($b ? $b : $b)",
              "$l.exists_one($v, $b)$<", "sets.contains($l, $l)", "($d <= $i)", "($m == $m)",
              "($p < $p && $t >= $t)"},
    [INT] = {"($i + $i)", "($i - $i)", "($i * $i)", "($i / $i)", "($i % $i)", "-$i", "size($l)", "size($s)",
             "($b ? $i : $i)", "$o.orValue($i)", "math.bitAnd($i, $i)", "cel.bind($v, $i, $i)$<", "$w",
             "$l[$i]", "int($u)", "$p.getSeconds()"},
    [UINT] = {"($u + $u)", "($u * $u)", "($u / $u)", "uint($i)", "math.bitOr($u, $u)", "($b ? $u : $u)",
              "($u % $u)", "uint($d)", "($u - $u)", "math.bitNot($u)", "$u", "$u", "$u", "$u", "$u", "$u"},
    [DOUBLE] = {"($d + $d)", "($d * $d)", "($d / $d)", "-$d", "double($i)", "double($u)", "math.round($d)",
                "math.abs($d)", "($b ? $d : $d)", "math.sqrt($d)", "math.floor($d)", "math.sign($d)", "$d",
                "$d", "$d", "double($s)"},
    [STRING] = {"$s.lowerAscii()", "$s.trim()", "string($i)", "($b ? $s : $s)", "$s.reverse()",
                "$s.substring($i)", "$s.charAt($i)", "string($b)", "string($d)", "'%s'.format([$i])",
                "string($u)", "$s.split(',')[0]", "string($t)", "string($p)",
                "regex.extract($s, 'l+').orValue($s)", "(type($i) == int ? $s : '')"},
    [INTS] = {"$l.map($v, $i)$<", "$l.filter($v, $b)$<", "$l.sort()", "$l.reverse()", "$l.distinct()",
              "$l.slice(0, 1)", "($b ? $l : $l)", "$l.sortBy($v, $i)$<", "[$i, ?$o]",
              "$l.transformList(i9, $v, $i)$<", "[$l].flatten()", "$l.map($v, $b, $i)$<",
              "$m.transformList(k9, $v, $i)$<", "[$o].unwrapOpt()", "$l", "[$i, $i]"},
    [ENTRIES] = {"{$s: $i}", "{'a': $i, 'b': $i}", "$m.transformMap(k9, $v, $i)$<", "{?$s: $o}",
                 "$m.transformMapEntry(k9, $v, {k9: $i})$<", "($b ? $m : $m)",
                 "$m.transformMap(k9, $v, $b, $i)$<", "{$s: $i, $s: $i}", "$m", "$m", "$m", "$m", "$m", "$m",
                 "$m", "$m"},
    [OPTIONAL] = {"optional.of($i)", "$m[?$s]", "$l[?$i]", "$o.or($o)", "$o.optMap($v, $i)$<",
                  "$o.optFlatMap($v, $o)$<", "($b ? $o : $o)", "optional.ofNonZeroValue($i)", "$l.last()",
                  "$l.first()", "$o", "$o", "$o", "$o", "$o", "$o"},
    [SPAN] = {"($p + $p)", "($p - $p)", "($t - $t)", "duration('2h')", "($b ? $p : $p)", "$p", "$p", "$p",
              "$p", "$p", "$p", "$p", "$p", "$p", "$p", "duration(string($i) + 's')"},
    [TIME] = {"($t + $p)", "($t - $p)", "timestamp($i)", "($b ? $t : $t)", "($p + $t)", "$t", "$t", "$t",
              "$t", "$t", "$t", "$t", "$t", "$t", "$t", "timestamp(string($t))"},
};

/* Sums of lists and texts: only near the leaves, so that nothing grows beyond its usual size. */
static const char *growing(enum sort sort)
{
    return sort == STRING ? "($s + $s)" : sort == INTS ? "($l + $l)" : NULL;
}

static void generate(struct generator *g, enum sort sort, unsigned depth);

static void put_variable(struct generator *g, unsigned number)
{
    char name[16];
    snprintf(name, sizeof name, "v%u", number);
    put(g, name);
}

static void put_form(struct generator *g, const char *form, unsigned depth)
{
    static const char letters[] = "biudslmopt";
    unsigned named = 0; /* variables of this form that are not in scope yet */
    for (; *form; form++) {
        char text[2] = {*form, 0};
        if (*form == ',' && named) { /* from here on it is bound */
            g->variables += named;
            named = 0;
        }
        if (*form != '$') {
            put(g, text);
            continue;
        }
        form++;
        const char *letter = strchr(letters, *form);
        if (letter)
            generate(g, (enum sort)(letter - letters), depth - 1);
        else if (*form == 'v')
            put_variable(g, g->variables + named++);
        else if (*form == 'w' && g->variables)
            put_variable(g, choose(g, g->variables));
        else if (*form == 'w')
            put(g, "n");
        else
            g->variables--;
    }
}

static void generate(struct generator *g, enum sort sort, unsigned depth)
{
    unsigned choice = choose(g, depth ? 24 : 8);
    if (g->length >= SOURCE_MAX)
        return;
    if (choice < 8)
        put(g, leaves[sort][choice]);
    else if (depth <= GROWTH_DEPTH && choice == 8 && growing(sort))
        put_form(g, growing(sort), MIN_OF(depth, GROWTH_DEPTH));
    else
        put_form(g, forms[sort][choice - 8], depth);
}

/* Evaluates and counts the steps. */
static bool evaluate(const struct expr *expr, struct arena *arena, struct value *ret_value, bool *ret_fatal,
                     uint64_t *ret_steps)
{
    struct expr_run run = {.lookup = look_up, .arena = arena, .now_ns = 1700000000123456789};
    struct evaluation evaluation;
    evaluation_init(&evaluation, &run);
    uint64_t before = evaluation.steps;
    bool good = node_run(expr->root, &evaluation, ret_value);
    *ret_fatal = !good && evaluation.fault.fatal;
    *ret_steps = before - evaluation.steps;
    return good;
}

static bool same(struct value a, struct value b, struct arena *arena)
{
    return !value_equal(a, a, arena) || value_equal(a, b, arena); /* NaN is not equal to itself */
}

static void check_literal(struct value value, struct arena *arena)
{
    struct expr_error error;
    struct text literal = value_to_literal(value, arena);
    const struct expr *again = expr_compile(arena, literal, NULL, EXPR_DYN, &error);
    CHECK(again && expr_constant(again));
    CHECK(same(value, *expr_constant(again), arena));
    struct text twice = value_to_literal(*expr_constant(again), arena);
    CHECK(text_equal(literal, twice));
}

static void check(struct text source, struct arena *compiled, struct arena *arena)
{
    struct expr_environment strict = {attributes, COUNT_OF(attributes), false}, unchecked = strict;
    struct expr_error error = {0};
    unchecked.unchecked = true;
    const struct expr *exprs[] = {
        expr_compile_unfolded(compiled, source, &unchecked, EXPR_DYN, &error),
        expr_compile(compiled, source, &unchecked, EXPR_DYN, &error),
        expr_compile(compiled, source, &strict, EXPR_DYN, &error),
    };
    struct value first = {.kind = VALUE_NULL}, value;
    bool wanted = false;
    for (size_t i = 0; i < COUNT_OF(exprs); i++) {
        bool fatal, good;
        uint64_t steps;
        if (!exprs[i]) {
            CHECK(error.said[0]
                  && (i == 2 || text_find(text_of(error.said), TEXT("nest")) != TEXT_NONE
                      || text_find(text_of(error.said), TEXT("variables")) != TEXT_NONE));
            return;
        }
        good = evaluate(exprs[i], arena, &value, &fatal, &steps);
        if (fatal)
            return; /* loops within loops: the limit of steps is there for them */
        CHECK(steps <= expr_cost(exprs[i]));
        if (i == 0) {
            first = value;
            wanted = good;
        }
        CHECK(good == wanted && (!good || same(first, value, arena)));
        CHECK(!good || i != 2 || value_bit(&value) & type_bits(expr_result_type(exprs[i])));
    }
    if (wanted)
        check_literal(first, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct generator g; /* large */
    g = (struct generator){.data = data, .size = size};
    enum sort sort = (enum sort)choose(&g, SORTS);
    generate(&g, sort, DEPTH);
    if (g.length >= SOURCE_MAX)
        return 0;
    struct arena compiled, arena;
    arena_init(&compiled, 0, BYTES_MAX);
    arena_init(&arena, 0, BYTES_MAX);
    struct text source = {g.source, g.length};
    if (getenv("FUZZ_SHOW"))
        fprintf(stderr, "%.*s\n", TEXT_ARGS(source));
    check(source, &compiled, &arena);
    arena_release(&arena);
    arena_release(&compiled);
    return 0;
}
