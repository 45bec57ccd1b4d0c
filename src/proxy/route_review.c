/* The review of routes: what can never match, and what only names decide. */
#include "proxy/route_review.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "proxy/condition_compare.h"
#include "proxy/object.h"
#include "proxy/route.h"
#include "proxy/router_regex.h"

enum {
    COMPARED_MAX = 64, /* others that one is compared with, for each question */
    FEW = 64,          /* all pairs of so many are compared */
};

/* A route under review. */
struct subject {
    const struct route *route;
    struct place place;
    const struct condition **conditions; /* with its methods */
    size_t count;
    uint64_t hash;            /* of its conditions, in any order */
    uint32_t covered;         /* hosts for which another takes all */
    bool said;                /* that it can never match */
    const struct route *told; /* the last one that it was called equal to */
};

/* The subjects with one host and one path, as far as the router tells paths apart; best first. */
struct group {
    struct group *next;
    struct subject **items;
    size_t count, room;
};

struct review {
    struct report *report;
    struct arena arena, scratch; /* scratch: of one subject */
    struct subject *subjects;    /* as they are written */
    size_t count;
    struct table groups; /* by host and path */
    struct group *first, **last;
    int32_t priority_max;
};

/* --- groups --- */

/* A path without the names of its captures; of a regular expression the text that it begins with. */
static struct text path_key(struct arena *arena, struct text path)
{
    char key[ROUTER_PATTERN_MAX + 2];
    size_t size = 0;
    if (!path.at)
        return TEXT("");
    if (path.at[0] == '~') {
        key[size++] = '~';
        size += route_regex_literal(text_trim(text_slice(path, 1, path.size)), key + 1);
        return arena_copy(arena, (struct text){key, size});
    }
    for (size_t i = 0; i < path.size; i++) {
        key[size++] = path.at[i];
        if (path.at[i] != '{')
            continue;
        size_t end = i + text_find_char(text_slice(path, i, path.size), '}');
        if (path.at[end - 1] == '.')
            key[size++] = '.';
        key[size++] = '}';
        i = end;
    }
    return arena_copy(arena, (struct text){key, size});
}

static struct text group_key(struct arena *arena, struct text host, struct text path)
{
    return arena_format(arena, "%.*s %.*s", TEXT_ARGS(host), TEXT_ARGS(path));
}

static bool add_to_group(struct review *review, struct text host, struct text path, struct subject *subject)
{
    struct text key = group_key(&review->arena, host, path);
    struct group *group = table_get(&review->groups, key);
    if (!group) {
        group = ARENA_NEW(&review->arena, struct group);
        if (!group)
            return false;
        if (!table_put(&review->groups, key, group))
            return false;
        *review->last = group;
        review->last = &group->next;
    }
    if (group->count == group->room) {
        size_t room = group->room ? 2 * group->room : 1;
        struct subject **moved = arena_array(&review->arena, room, sizeof *moved);
        if (!moved)
            return false;
        if (group->count)
            memcpy(moved, group->items, group->count * sizeof *moved);
        group->items = moved;
        group->room = room;
    }
    group->items[group->count++] = subject;
    return true;
}

static bool fill_conditions(struct review *review, struct subject *subject)
{
    const struct route *route = subject->route;
    subject->conditions =
        arena_array(&review->arena, route->conditions_count + 1, sizeof *subject->conditions);
    if (!subject->conditions)
        return false;
    for (size_t i = 0; i < route->conditions_count; i++)
        subject->conditions[subject->count++] = &route->conditions[i];
    if (!method_set_is_empty(&route->methods)) {
        struct condition *methods = ARENA_NEW(&review->arena, struct condition);
        if (!methods)
            return false;
        *methods = (struct condition){.kind = CONDITION_METHOD, .methods = route->methods};
        subject->conditions[subject->count++] = methods;
    }
    for (size_t i = 0; i < subject->count; i++)
        subject->hash += condition_hash(subject->conditions[i]);
    return true;
}

static bool add_subject(struct review *review, const struct route *route, struct place place)
{
    struct subject *subject = &review->subjects[review->count++];
    *subject = (struct subject){.route = route, .place = place};
    struct text path = path_key(&review->arena, route->key.path);
    if (!fill_conditions(review, subject))
        return false;
    review->priority_max = MAX_OF(review->priority_max, route->key.priority);
    if (route->key.hosts_count == 0)
        return add_to_group(review, TEXT("*"), path, subject);
    for (size_t i = 0; i < route->key.hosts_count; i++)
        if (!add_to_group(review, route->key.hosts[i], path, subject))
            return false;
    return true;
}

static int compare_subjects(const void *x, const void *y)
{
    const struct route_key *a = &(*(struct subject *const *)x)->route->key;
    const struct route_key *b = &(*(struct subject *const *)y)->route->key;
    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    if (a->conditions != b->conditions)
        return a->conditions > b->conditions ? -1 : 1;
    return text_compare(a->name, b->name);
}

/* --- what cannot be --- */

static void never(struct review *review, struct subject *subject, const char *why)
{
    if (!subject->said)
        report_warning(review->report, subject->place,
                       arena_format(review->report->arena, "routes.%.*s", TEXT_ARGS(subject->route->name)),
                       "this route can never match: %s", why);
    subject->said = true;
}

/* Are all hosts and paths that it is for among those that it leaves out? What the patterns say of a name that no one would write, they say of
 * all. */
static bool leaves_nothing(const struct route *route, const struct condition *condition)
{
    static const char odd[] = "\x01\x02";
    struct text path = route->key.path;
    if (condition->kind == CONDITION_PATH) {
        bool exact = path.at && path.at[0] == '/' && text_find_char(path, '{') == TEXT_NONE
                     && !text_ends_with(path, TEXT("*"));
        return exact && router_match(condition->patterns, TEXT(""), path, NULL, NULL, NULL);
    }
    for (size_t i = 0; i < route->key.hosts_count; i++) {
        char host[300];
        struct text written = route->key.hosts[i];
        bool wild = text_starts_with(written, TEXT("*"));
        int size =
            wild ? snprintf(host, sizeof host, "%s%.*s", odd, TEXT_ARGS(text_slice(written, 1, written.size)))
                 : snprintf(host, sizeof host, "%.*s", TEXT_ARGS(written));
        if (!router_match(condition->patterns, (struct text){host, (size_t)size}, TEXT("/"), NULL, NULL,
                          NULL))
            return false;
    }
    return route->key.hosts_count > 0;
}

static void review_alone(struct review *review, struct subject *subject)
{
    for (size_t i = 0; i < subject->count; i++) {
        const struct condition *condition = subject->conditions[i];
        if (condition_is_impossible(condition))
            never(review, subject,
                  condition->kind == CONDITION_TIME ? "there is no time in its windows"
                                                    : "one of its conditions is always false");
        if ((condition->kind == CONDITION_HOST || condition->kind == CONDITION_PATH)
            && leaves_nothing(subject->route, condition))
            never(review, subject, "`not` leaves nothing of its hosts or its path");
        for (size_t k = 0; k < i; k++)
            if (condition_excludes(subject->conditions[k], condition))
                never(review, subject, "two of its conditions contradict each other");
    }
    const struct route *route = subject->route;
    if (!route->target.service && route->target.plan->count == 0)
        report_warning(review->report, subject->place,
                       arena_format(review->report->arena, "routes.%.*s", TEXT_ARGS(route->name)),
                       "it has no service and no policies: the answer is always 404");
}

/* --- one before the other --- */

static bool same_regex(const struct route *a, const struct route *b)
{
    bool regex = a->key.path.at && a->key.path.at[0] == '~';
    return !regex || text_equal(a->key.path, b->key.path);
}

/* Every condition of `wide` is met by whatever meets those of `narrow`. */
static bool covers(const struct subject *wide, const struct subject *narrow)
{
    for (size_t i = 0; i < wide->count; i++) {
        bool implied = false;
        for (size_t k = 0; k < narrow->count && !implied; k++)
            implied = condition_implies(narrow->conditions[k], wide->conditions[i]);
        if (!implied)
            return false;
    }
    return true;
}

static void shadow(struct review *review, struct subject *by, struct subject *subject)
{
    if (++subject->covered < MAX_OF(subject->route->key.hosts_count, (size_t)1) || subject->said)
        return;
    const struct route_key *wide = &by->route->key, *key = &subject->route->key;
    struct text there = place_show(by->place, review->report->arena);
    report_warning(
        review->report, subject->place,
        arena_format(review->report->arena, "routes.%.*s", TEXT_ARGS(key->name)),
        "this route can never match: `%.*s` at %.*s takes all that it takes, and comes first by its %s",
        TEXT_ARGS(wide->name), TEXT_ARGS(there),
        wide->priority != key->priority       ? "priority"
        : wide->conditions != key->conditions ? "conditions"
                                              : "name");
    subject->said = true;
}

/* Those of a wider group that come first by their priority alone. */
static struct subject *covering(const struct group *group, const struct subject *subject)
{
    for (size_t i = 0; group && i < MIN_OF(group->count, (size_t)COMPARED_MAX); i++) {
        struct subject *other = group->items[i];
        if (other->route->key.priority <= subject->route->key.priority)
            return NULL;
        if (covers(other, subject))
            return other;
    }
    return NULL;
}

static struct subject *covering_key(struct review *review, struct text host, struct text path,
                                    const struct subject *subject)
{
    return covering(table_get(&review->groups, group_key(&review->scratch, host, path)), subject);
}

/* For one host: the path itself, the prefixes of whole segments that its literal text lies below, and any path. Raw prefixes are not looked
 * for. */
static struct subject *covering_path(struct review *review, struct text host, const struct subject *subject)
{
    struct text path = path_key(&review->scratch, subject->route->key.path);
    bool regex = text_starts_with(path, TEXT("~"));
    struct text literal = text_slice(path, regex, path.size),
                fixed = text_slice(literal, 0, text_find_char(literal, '{'));
    bool exact = !regex && fixed.size == path.size && !text_ends_with(path, TEXT("*"));
    struct subject *found = regex ? NULL : covering_key(review, host, path, subject);
    for (size_t i = 0; i < fixed.size && !found; i++) {
        bool end = exact && i + 1 == fixed.size && fixed.at[i] != '/';
        if (fixed.at[i] == '/' || end)
            found = covering_key(
                review, host,
                arena_format(&review->scratch, "%.*s/*", TEXT_ARGS(text_slice(fixed, 0, i + end))), subject);
    }
    return found ? found : covering_key(review, host, TEXT(""), subject);
}

/* The host itself, the wildcards above it, and any host. */
static struct subject *covering_host(struct review *review, struct text host, const struct subject *subject)
{
    struct subject *found = covering_path(review, host, subject);
    struct text rest = text_slice(host, text_starts_with(host, TEXT("*.")) ? 2 : 0, host.size);
    if (found || text_equal(host, TEXT("*")))
        return found;
    while (!found && text_find_char(rest, '.') != TEXT_NONE) {
        (void)text_split(&rest, '.');
        found = covering_path(review, arena_format(&review->scratch, "*.%.*s", TEXT_ARGS(rest)), subject);
    }
    return found ? found : covering_path(review, TEXT("*"), subject);
}

static void review_wider(struct review *review, struct subject *subject)
{
    const struct route_key *key = &subject->route->key;
    if (subject->said || key->priority == review->priority_max)
        return;
    for (size_t i = 0; i < MAX_OF(key->hosts_count, (size_t)1); i++) {
        struct subject *by = covering_host(review, key->hosts_count ? key->hosts[i] : TEXT("*"), subject);
        if (by)
            shadow(review, by, subject);
    }
    arena_reset(&review->scratch);
}

/* --- within a group --- */

static bool can_meet(const struct subject *a, const struct subject *b)
{
    for (size_t i = 0; i < a->count; i++)
        for (size_t k = 0; k < b->count; k++)
            if (condition_excludes(a->conditions[i], b->conditions[k]))
                return false;
    return true;
}

static bool is_tie(const struct subject *a, const struct subject *b)
{
    return a->route->key.priority == b->route->key.priority
           && a->route->key.conditions == b->route->key.conditions;
}

static void compare_pair(struct review *review, struct subject *first, struct subject *second)
{
    if (second->said || first->said)
        return;
    if (same_regex(first->route, second->route) && covers(first, second)) {
        shadow(review, first, second);
        return;
    }
    if (!is_tie(first, second) || second->told == first->route || !can_meet(first, second))
        return;
    second->told = first->route;
    report_warning(
        review->report, second->place,
        arena_format(review->report->arena, "routes.%.*s", TEXT_ARGS(second->route->name)),
        "where `%.*s` at %.*s fits too, only the names decide that it comes first; give one of them a `priority`%s",
        TEXT_ARGS(first->route->name), TEXT_ARGS(place_show(first->place, review->report->arena)),
        same_regex(first->route, second->route) ? "" : " (both are regular expressions)");
}

/* A finite value that a route asks for, by which very many of them are told apart. */
static struct text finite_value(const struct subject *subject, const struct condition *like)
{
    for (size_t i = 0; i < subject->count; i++) {
        const struct condition *condition = subject->conditions[i];
        if (condition_same_subject(condition, like) && !condition->negated && condition->test == TEST_ONE_OF
            && condition->values_count == 1)
            return condition->values[0];
    }
    return (struct text){NULL, 0};
}

/* The condition of the first that all of them have with one value each, and most of them with another; NULL: there is none. */
static const struct condition *telling_apart(const struct subject *first)
{
    for (size_t i = 0; i < first->count; i++) {
        const struct condition *condition = first->conditions[i];
        bool is_text = condition->kind == CONDITION_HEADER || condition->kind == CONDITION_QUERY
                       || condition->kind == CONDITION_COOKIE;
        if (is_text && !condition->negated && condition->test == TEST_ONE_OF && condition->values_count == 1)
            return condition;
    }
    return NULL;
}

/* Many with one host and path: a route is compared with the first few, which take most, with those that have the very same conditions, and with
 * the last few that have its value of what tells them apart. */
static void review_many(struct review *review, struct group *group)
{
    const struct condition *like = telling_apart(group->items[0]);
    struct table by_value, by_hash;
    table_init(&by_value);
    table_init(&by_hash);
    for (size_t i = 0; i < group->count; i++) {
        struct subject *subject = group->items[i];
        struct text *hash = ARENA_NEW(&review->arena, struct text);
        if (!hash)
            break;
        *hash = arena_copy(&review->arena, (struct text){(const char *)&subject->hash, sizeof subject->hash});
        struct subject *same = table_get(&by_hash, *hash);
        if (same)
            compare_pair(review, same, subject);
        else if (!table_put(&by_hash, *hash, subject))
            break;
        for (size_t k = 0; k < MIN_OF(i, (size_t)COMPARED_MAX) && !subject->said; k++)
            compare_pair(review, group->items[k], subject);
        struct text value = like ? finite_value(subject, like) : TEXT("");
        struct subject *other = value.at ? table_get(&by_value, value) : NULL;
        if (other)
            compare_pair(review, other, subject);
        if (value.at && !table_put(&by_value, value, subject))
            break;
    }
    table_release(&by_value);
    table_release(&by_hash);
}

static void review_group(struct review *review, struct group *group)
{
    if (group->count > FEW) {
        review_many(review, group);
        return;
    }
    for (size_t i = 1; i < group->count; i++)
        for (size_t k = 0; k < i; k++)
            compare_pair(review, group->items[k], group->items[i]);
}

/* --- the whole --- */

static bool collect(struct review *review, const struct table *names, const struct node *routes)
{
    review->subjects = arena_array(&review->arena, routes->count, sizeof *review->subjects);
    for (uint32_t i = 0; review->subjects && i < routes->count; i++) {
        const struct object *object = table_get(names, routes->keys[i].text);
        const struct route *route = object ? object->value : NULL;
        if (route && route->enabled && !add_subject(review, route, routes->keys[i].place))
            return false;
    }
    return review->subjects;
}

static void look(struct review *review)
{
    for (size_t i = 0; i < review->count; i++)
        review_alone(review, &review->subjects[i]);
    for (struct group *group = review->first; group; group = group->next) {
        qsort(group->items, group->count, sizeof *group->items, compare_subjects);
        review_group(review, group);
    }
    for (size_t i = 0; i < review->count; i++)
        review->subjects[i].covered = 0;
    for (size_t i = 0; i < review->count; i++)
        review_wider(review, &review->subjects[i]);
}

void route_review(const struct table *names, const struct node *routes, struct report *report)
{
    struct review review = {.report = report, .priority_max = INT32_MIN};
    if (!routes || routes->kind != NODE_MAP)
        return;
    review.last = &review.first;
    arena_init(&review.arena, 64 * 1024, 0);
    arena_init(&review.scratch, 4 * 1024, 0);
    table_init(&review.groups);
    if (collect(&review, names, routes))
        look(&review);
    else
        report_warning(report, routes->place, TEXT("routes"), "not reviewed: out of memory");
    table_release(&review.groups);
    arena_release(&review.scratch);
    arena_release(&review.arena);
}
