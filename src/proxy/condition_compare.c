/* Compares conditions.
 *
 * Each is a set of requests. Two of the same subject are compared as positive sets, and what is known of those gives the answer for their
 * complements: A lies in B just if not B lies in not A, and A lies in not B just if they have nothing in common. */
#include "proxy/condition_compare.h"

#include "base/check.h"
#include "base/hash.h"
#include "expr/pattern.h"
#include "proxy/time_window.h"

bool condition_same_subject(const struct condition *a, const struct condition *b)
{
    if (a->kind != b->kind)
        return false;
    switch ((enum condition_kind)a->kind) {
    case CONDITION_HEADER: return text_equal_nocase(a->name, b->name);
    case CONDITION_QUERY:
    case CONDITION_COOKIE: return text_equal(a->name, b->name);
    case CONDITION_CAPTURE: return a->capture.segment == b->capture.segment;
    case CONDITION_METHOD:
    case CONDITION_LISTENER:
    case CONDITION_SCHEME:
    case CONDITION_SNI:
    case CONDITION_CLIENT:
    case CONDITION_LOCAL:
    case CONDITION_CONTENT_TYPE:
    case CONDITION_TIME:
    case CONDITION_HOST:
    case CONDITION_PATH:
    case CONDITION_EXPRESSION:
    case CONDITION_KINDS: break;
    }
    return true;
}

/* --- lists of items: a set is the union of its items, each of which is a set --- */

/* Of one kind: item `i` of `a` and item `k` of `b`. */
typedef bool compare_items(const struct condition *a, size_t i, const struct condition *b, size_t k);

static bool each_in_some(const struct condition *a, size_t a_count, const struct condition *b, size_t b_count,
                         compare_items *in)
{
    for (size_t i = 0; i < a_count; i++) {
        bool found = false;
        for (size_t k = 0; k < b_count && !found; k++)
            found = in(a, i, b, k);
        if (!found)
            return false;
    }
    return true;
}

static bool none_meets(const struct condition *a, size_t a_count, const struct condition *b, size_t b_count,
                       compare_items *meets)
{
    for (size_t i = 0; i < a_count; i++)
        for (size_t k = 0; k < b_count; k++)
            if (meets(a, i, b, k))
                return false;
    return true;
}

static bool same_value(const struct condition *a, size_t i, const struct condition *b, size_t k)
{
    return text_equal(a->values[i], b->values[k]);
}

/* Of two networks one lies in the other, or they have nothing in common. */
static bool network_in(const struct cidr *a, const struct cidr *b)
{
    return a->bits >= b->bits && cidr_contains(b, a->base);
}

static bool client_in(const struct condition *a, size_t i, const struct condition *b, size_t k)
{
    return network_in(&a->networks[i], &b->networks[k]);
}

static bool client_meets(const struct condition *a, size_t i, const struct condition *b, size_t k)
{
    return network_in(&a->networks[i], &b->networks[k]) || network_in(&b->networks[k], &a->networks[i]);
}

static bool local_in(const struct condition *a, size_t i, const struct condition *b, size_t k)
{
    const struct local_range *x = &a->locals[i], *y = &b->locals[k];
    return network_in(&x->network, &y->network) && (!y->port || x->port == y->port);
}

static bool local_meets(const struct condition *a, size_t i, const struct condition *b, size_t k)
{
    const struct local_range *x = &a->locals[i], *y = &b->locals[k];
    return (network_in(&x->network, &y->network) || network_in(&y->network, &x->network))
           && (!x->port || !y->port || x->port == y->port);
}

/* A range is held by another one as if it was a media type itself. */
static bool range_in(const struct condition *a, size_t i, const struct condition *b, size_t k)
{
    return text_equal_nocase(a->values[i], b->values[k]) || media_range_holds(b->values[k], a->values[i]);
}

static bool range_meets(const struct condition *a, size_t i, const struct condition *b, size_t k)
{
    struct text x = a->values[i], y = b->values[k], x_sub = x, y_sub = y;
    struct text x_main = text_split(&x_sub, '/'), y_main = text_split(&y_sub, '/');
    bool same_main =
        text_equal(x_main, TEXT("*")) || text_equal(y_main, TEXT("*")) || text_equal_nocase(x_main, y_main);
    bool wide = text_starts_with(x_sub, TEXT("*")) && text_starts_with(y_sub, TEXT("*"));
    return same_main
           && (wide || media_range_holds(x, y) || media_range_holds(y, x) || text_equal_nocase(x_sub, y_sub));
}

/* --- texts: what is finite is tried out --- */

static bool meets_value(const struct condition *condition, struct text value)
{
    switch ((enum condition_test)condition->test) {
    case TEST_PRESENT: return value.at;
    case TEST_ABSENT: return !value.at;
    case TEST_ONE_OF:
        for (size_t i = 0; i < condition->values_count && value.at; i++)
            if (text_equal(condition->values[i], value))
                return true;
        return false;
    case TEST_PREFIX: return value.at && text_starts_with(value, condition->values[0]);
    case TEST_REGEX: return value.at && pattern_matches(condition->pattern, value);
    }
    UNREACHABLE();
}

static bool text_in(const struct condition *a, const struct condition *b)
{
    if (a->test == TEST_ONE_OF) {
        for (size_t i = 0; i < a->values_count; i++)
            if (!meets_value(b, a->values[i]))
                return false;
        return true;
    }
    if (a->test == TEST_ABSENT)
        return b->test == TEST_ABSENT;
    if (b->test == TEST_PRESENT)
        return true;
    return a->test == TEST_PREFIX && b->test == TEST_PREFIX && text_starts_with(a->values[0], b->values[0]);
}

static bool texts_are_apart(const struct condition *a, const struct condition *b)
{
    if (a->test == TEST_ABSENT || b->test == TEST_ABSENT)
        return a->test != b->test;
    const struct condition *finite = a->test == TEST_ONE_OF ? a : b, *other = finite == a ? b : a;
    if (finite->test == TEST_ONE_OF) {
        for (size_t i = 0; i < finite->values_count; i++)
            if (meets_value(other, finite->values[i]))
                return false;
        return true;
    }
    return a->test == TEST_PREFIX && b->test == TEST_PREFIX && !text_starts_with(a->values[0], b->values[0])
           && !text_starts_with(b->values[0], a->values[0]);
}

/* --- methods, captures, times, expressions --- */

static bool has_method(const struct method_set *set, struct text method)
{
    for (size_t i = 0; i < set->others_count; i++)
        if (text_equal(set->others[i], method))
            return true;
    return false;
}

static bool methods_in(const struct method_set *a, const struct method_set *b)
{
    for (size_t i = 0; i < a->others_count; i++)
        if (!has_method(b, a->others[i]))
            return false;
    return !(a->known & ~b->known);
}

static bool methods_are_apart(const struct method_set *a, const struct method_set *b)
{
    for (size_t i = 0; i < a->others_count; i++)
        if (has_method(b, a->others[i]))
            return false;
    return !(a->known & b->known);
}

static bool captures_are_apart(enum capture_type a, enum capture_type b)
{
    return (a == CAPTURE_INT && b == CAPTURE_UUID) || (a == CAPTURE_UUID && b == CAPTURE_INT);
}

static bool same_times(const struct condition *a, const struct condition *b)
{
    return a->windows_count == b->windows_count
           && !memcmp(a->windows, b->windows, a->windows_count * sizeof *a->windows);
}

/* --- positive sets --- */

static bool lies_in(const struct condition *a, const struct condition *b)
{
    switch ((enum condition_kind)a->kind) {
    case CONDITION_METHOD: return methods_in(&a->methods, &b->methods);
    case CONDITION_LISTENER:
    case CONDITION_SCHEME: return each_in_some(a, a->values_count, b, b->values_count, same_value);
    case CONDITION_CLIENT: return each_in_some(a, a->networks_count, b, b->networks_count, client_in);
    case CONDITION_LOCAL: return each_in_some(a, a->locals_count, b, b->locals_count, local_in);
    case CONDITION_CONTENT_TYPE: return each_in_some(a, a->values_count, b, b->values_count, range_in);
    case CONDITION_HEADER:
    case CONDITION_QUERY:
    case CONDITION_COOKIE: return text_in(a, b);
    case CONDITION_CAPTURE: return a->capture.type == b->capture.type && a->capture.type != CAPTURE_REGEX;
    case CONDITION_TIME: return same_times(a, b);
    case CONDITION_EXPRESSION: return text_equal(expr_source(a->expression), expr_source(b->expression));
    case CONDITION_SNI:
    case CONDITION_HOST:
    case CONDITION_PATH: return a->patterns == b->patterns;
    case CONDITION_KINDS: break;
    }
    UNREACHABLE();
}

static bool are_apart(const struct condition *a, const struct condition *b)
{
    switch ((enum condition_kind)a->kind) {
    case CONDITION_METHOD: return methods_are_apart(&a->methods, &b->methods);
    case CONDITION_LISTENER:
    case CONDITION_SCHEME: return none_meets(a, a->values_count, b, b->values_count, same_value);
    case CONDITION_CLIENT: return none_meets(a, a->networks_count, b, b->networks_count, client_meets);
    case CONDITION_LOCAL: return none_meets(a, a->locals_count, b, b->locals_count, local_meets);
    case CONDITION_CONTENT_TYPE: return none_meets(a, a->values_count, b, b->values_count, range_meets);
    case CONDITION_HEADER:
    case CONDITION_QUERY:
    case CONDITION_COOKIE: return texts_are_apart(a, b);
    case CONDITION_CAPTURE: return captures_are_apart(a->capture.type, b->capture.type);
    case CONDITION_TIME:
    case CONDITION_EXPRESSION:
    case CONDITION_SNI:
    case CONDITION_HOST:
    case CONDITION_PATH: return false;
    case CONDITION_KINDS: break;
    }
    UNREACHABLE();
}

bool condition_implies(const struct condition *a, const struct condition *b)
{
    if (!condition_same_subject(a, b))
        return false;
    if (!a->negated && !b->negated)
        return lies_in(a, b);
    if (a->negated && b->negated)
        return lies_in(b, a);
    return !a->negated && are_apart(a, b);
}

bool condition_excludes(const struct condition *a, const struct condition *b)
{
    if (!condition_same_subject(a, b) || (a->negated && b->negated))
        return false;
    if (!a->negated && !b->negated)
        return are_apart(a, b);
    return a->negated ? lies_in(b, a) : lies_in(a, b);
}

bool condition_is_impossible(const struct condition *condition)
{
    const struct value *constant;
    switch ((enum condition_kind)condition->kind) {
    case CONDITION_TIME:
        for (size_t i = 0; i < condition->windows_count; i++)
            if (!time_window_is_empty(&condition->windows[i]))
                return false;
        return !condition->negated;
    case CONDITION_EXPRESSION:
        constant = expr_constant(condition->expression);
        return constant && constant->kind == VALUE_BOOL && constant->boolean == condition->negated;
    case CONDITION_SCHEME: return condition->negated && condition->values_count > 1; /* there are two */
    case CONDITION_METHOD:
    case CONDITION_LISTENER:
    case CONDITION_SNI:
    case CONDITION_CLIENT:
    case CONDITION_LOCAL:
    case CONDITION_CAPTURE:
    case CONDITION_HEADER:
    case CONDITION_QUERY:
    case CONDITION_COOKIE:
    case CONDITION_CONTENT_TYPE:
    case CONDITION_HOST:
    case CONDITION_PATH:
    case CONDITION_KINDS: break;
    }
    return false;
}

uint64_t condition_hash(const struct condition *condition)
{
    uint64_t hash =
        hash_mix((uint64_t)condition->kind << 16 | (uint64_t)condition->test << 1 | condition->negated);
    switch ((enum condition_kind)condition->kind) {
    case CONDITION_METHOD: return hash_mix(hash ^ condition->methods.known);
    case CONDITION_HEADER: hash ^= condition->name.size; break; /* letter case does not count */
    case CONDITION_QUERY:
    case CONDITION_COOKIE: hash ^= hash_text(condition->name); break;
    case CONDITION_EXPRESSION: return hash_mix(hash ^ hash_text(expr_source(condition->expression)));
    case CONDITION_LISTENER:
    case CONDITION_SCHEME: break;
    case CONDITION_SNI:
    case CONDITION_CLIENT:
    case CONDITION_LOCAL:
    case CONDITION_CAPTURE:
    case CONDITION_CONTENT_TYPE:
    case CONDITION_TIME:
    case CONDITION_HOST:
    case CONDITION_PATH:
    case CONDITION_KINDS: return hash;
    }
    uint64_t values = 0; /* in any order */
    bool listed =
        condition->test != TEST_REGEX && condition->test != TEST_PRESENT && condition->test != TEST_ABSENT;
    for (size_t i = 0; listed && i < condition->values_count; i++)
        values += hash_mix(hash_text(condition->values[i]));
    return hash_mix(hash ^ values);
}
