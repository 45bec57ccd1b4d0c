/* The router: which patterns fit which paths, which of several is chosen, and what it refuses. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "router_reference.h"

static struct text text_or_any(const char *t)
{
    return t ? text_of(t) : (struct text){NULL, 0};
}

/* A router with these routes; ends at a NULL name. */
static struct router *router_of(struct route *routes)
{
    struct router *router = router_new();
    for (; routes->name; routes++) {
        struct text hosts[REFERENCE_HOSTS_MAX];
        struct router_change change = reference_change(routes, false, hosts);
        struct error error;
        struct router *next = router_edit(router, &change, 1, &error);
        if (!next)
            fail_msg("%s: %s", routes->name, error.said);
        router_unref(router);
        router = next;
    }
    return router;
}

static bool not_refused(const struct route *route, void *context)
{
    (void)context;
    return !route->refused;
}

static const char *match_host(const struct router *router, const char *host, const char *path,
                              struct route_captures *captures)
{
    struct route *route = router_match(router, text_of(host), text_of(path), not_refused, NULL, captures);
    return route ? route->name : "none";
}

static const char *match(const struct router *router, const char *path)
{
    return match_host(router, "shop.example", path, NULL);
}

/* Form, then what fits and what does not. */
static const struct {
    const char *pattern;
    enum path_form form;
    const char *fits[6], *fails[6];
} FORMS[] = {
    {NULL, PATH_ANY, {"/", "/a", "*", ""}, {NULL}},
    {"/", PATH_EXACT, {"/"}, {"", "/a", "//"}},
    {"/a/b", PATH_EXACT, {"/a/b"}, {"/a", "/a/", "/a/b/", "/a/bc", "/a/b/c"}},
    {"/a/", PATH_EXACT, {"/a/"}, {"/a", "/a/b"}},
    {"/a/*", PATH_SEGMENT_PREFIX, {"/a", "/a/", "/a/b", "/a/b/c"}, {"/", "/ab", "/b/a", ""}},
    {"/*", PATH_SEGMENT_PREFIX, {"/", "/a", "/a/b", ""}, {"*"}},
    {"/a*", PATH_RAW_PREFIX, {"/a", "/ab", "/a/b"}, {"/", "/b", ""}},
    {"/a/b*", PATH_RAW_PREFIX, {"/a/b", "/a/bc/d"}, {"/a/", "/a/c"}},
    {"/{x}", PATH_TEMPLATE, {"/a", "/a.b"}, {"/", "/a/", "/a/b", ""}},
    {"/o/{x}", PATH_TEMPLATE, {"/o/1"}, {"/o/", "/o", "/o/1/", "/p/1"}},
    {"/o/{x}/", PATH_TEMPLATE, {"/o/1/"}, {"/o/1", "/o//", "/o/1/2"}},
    {"/o/{x}/i/{y}", PATH_TEMPLATE, {"/o/1/i/2"}, {"/o/1/i/", "/o/1/j/2", "/o//i/2", "/o/1/i/2/3"}},
    {"/f/{x...}", PATH_TEMPLATE, {"/f/a", "/f/a/b", "/f/a/", "/f//"}, {"/f", "/f/", "/g/a"}},
    {"/f/{x}.json",
     PATH_TEMPLATE,
     {"/f/a.json", "/f/.json.json"},
     {"/f/.json", "/f/a.jsonx", "/f/a/.json", "/f/a"}},
    {"/f/v{x}", PATH_TEMPLATE, {"/f/v1", "/f/vv"}, {"/f/v", "/f/1", "/f/v1/2"}},
    {"/f/v{x}.z/{y}", PATH_TEMPLATE, {"/f/v1.z/2"}, {"/f/v.z/2", "/f/v1/2", "/f/v1.z/"}},
    {"/{t}/*", PATH_TEMPLATE, {"/a", "/a/", "/a/b/c"}, {"/", "//", ""}},
    {"/{t}/b*", PATH_TEMPLATE, {"/a/b", "/a/bc"}, {"/a", "/a/c"}},
    {"/{t}/{x...}", PATH_TEMPLATE, {"/a/b", "/a/b/c"}, {"/a", "/a/", "//b"}},
    {"~ ^/v[0-9]+/", PATH_REGEX, {"/v1/", "/v22/a"}, {"/v/", "/a/v1/", "/v1"}},
    {"~/v[0-9]+/", PATH_REGEX, {"/v1/", "/v22/a"}, {"/v/", "/a/v1/"}},
    {"~ .*\\.php$", PATH_REGEX, {"/a.php", "/a/b.php"}, {"/a.php5", "/"}},
    {"~ ^/a|^/b", PATH_REGEX, {"/a", "/b", "/bc"}, {"/", "/c"}},
    {"~ ^/ab*/", PATH_REGEX, {"/a/", "/abb/"}, {"/b/"}},
    {"~ ^(?i)/abc$", PATH_REGEX, {"/ABC", "/abc"}, {"/abcd"}},
};

static void each_form_fits_what_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(FORMS); i++) {
        enum path_form form;
        assert_true(router_check_path(text_or_any(FORMS[i].pattern), &form, NULL));
        assert_int_equal(form, FORMS[i].form);
        struct route routes[] = {{.name = "it", .path = FORMS[i].pattern}, {.name = NULL}};
        struct router *router = router_of(routes);
        for (size_t k = 0; FORMS[i].fits[k]; k++) {
            if (strcmp(match(router, FORMS[i].fits[k]), "it"))
                fail_msg("%s does not fit %s", FORMS[i].pattern, FORMS[i].fits[k]);
        }
        for (size_t k = 0; FORMS[i].fails[k]; k++) {
            if (strcmp(match(router, FORMS[i].fails[k]), "none"))
                fail_msg("%s fits %s", FORMS[i].pattern, FORMS[i].fails[k]);
        }
        router_unref(router);
    }
    assert_int_equal(router_nodes_alive(), 0);
}

static void bad_patterns_are_refused_with_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *said;
    } BAD[] = {
        {"", "begins with '/'"},
        {"a", "begins with '/'"},
        {"/a/*/b", "at its byte 4: '*' may only be the last"},
        {"/a**", "'*' may only be the last"},
        {"/{x", "at its byte 2: '{' without '}'"},
        {"/x}", "'}' without '{'"},
        {"/{}", "name is made of"},
        {"/{1}", "name is made of"},
        {"/{a-b}", "name is made of"},
        {"/{a:int}", "name is made of"},
        {"/{a}{b}", "at most one capture"},
        {"/{a}x{b}", "at most one capture"},
        {"/{a}*", "'*' must not follow a capture"},
        {"/{a}/{a}", "same name"},
        {"/{a...}/b", "nothing may follow"},
        {"/v{a...}", "must follow a '/'"},
        {"/a b", "percent-encoded"},
        {"/a?b", "no query"},
        {"/a#b", "no fragment"},
        {"/{a}?b", "must not stand"},
        {"/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}/{q}", "too many captures"},
        {"~", "without a regular expression"},
        {"~  ", "without a regular expression"},
        {"~ ^/(a", "regular expression, at its byte 5"},
        {"~ (*UTF)^/a", "regular expression"},
        {"~ (?<a>.)(?<b>.)(?<c>.)(?<d>.)(?<e>.)(?<f>.)(?<g>.)(?<h>.)(?<i>.)(?<j>.)(?<k>.)(?<l>.)(?<m>.)(?<n>.)"
         "(?<o>.)(?<p>.)(?<q>.)",
         "at most"},
    };
    for (size_t i = 0; i < COUNT_OF(BAD); i++) {
        enum path_form form;
        struct error error = {0};
        if (router_check_path(text_of(BAD[i].pattern), &form, &error) || !strstr(error.said, BAD[i].said))
            fail_msg("%s: %s", BAD[i].pattern, error.said);
        assert_int_equal(error.code, -EINVAL);
    }
    char long_pattern[ROUTER_PATTERN_MAX + 1];
    memset(long_pattern, 'a', sizeof long_pattern);
    long_pattern[0] = '/';
    enum path_form form;
    assert_true(router_check_path((struct text){long_pattern, ROUTER_PATTERN_MAX}, &form, NULL));
    assert_false(router_check_path((struct text){long_pattern, ROUTER_PATTERN_MAX + 1}, &form, NULL));
}

static void bad_hosts_are_refused(void **state)
{
    (void)state;
    static const char *const GOOD[] = {"a", "a.example", "*.a", "*.a.example", "*", "[::1]", "127.0.0.1"};
    static const char *const BAD[] = {"", "*.", "a.*", "*a", "*.*.a", "a*b"};
    for (size_t i = 0; i < COUNT_OF(GOOD); i++)
        assert_true(router_check_host(text_of(GOOD[i]), NULL));
    for (size_t i = 0; i < COUNT_OF(BAD); i++)
        assert_false(router_check_host(text_of(BAD[i]), NULL));
}

/* Each pattern of a row beats all that follow it in the row for the row's path. */
static const struct {
    const char *path;
    const char *order[12];
} SPECIFICITY[] = {
    /* The examples of the manual. */
    {"/a/b",
     {"/a/b", "/a/b/*", "/a/b*", "/a/{x}", "/a/{x...}", "/a/*", "/a*", "/{x}/b", "/{x}/*", "/*", NULL}},
    {"/f/ab.json", {"/f/a{x}.json", "/f/{x}b.json", "/f/{x}.json", "/f/{x}", "/f/*", NULL}},
    {"/users/7", {"~ ^/users/[0-9]+$", "/users/{id}", "/users/*", "~ ^/use.*", "/*", NULL}},
    {"/orders-25", {"/orders-2*", "/orders*", "/{x}", "/*", NULL}},
    /* What else they say. */
    {"/a/b", {"/a/b*", "~ ^/a/[a-z]", "/a/{x}", "/{x}/b", "~ .*b", "/*", NULL}},
    {"/a/b", {"/a/b/*", "/a/b*", "/a/{x}/*", "/a/*", "/*", NULL}},
    {"/a", {"/a", "/a/*", "/a*", "/{x}", "/{x...}", "/*", NULL}},
    {"/a/", {"/a/", "/a/*", "/a*", "/{x}/", "/{x}/*", "/{x...}", "/*", NULL}},
    {"/f/ab.json", {"/f/a{x}.json", "/f/a{x}", "/f/{x}b.json", "/f/{x}", "/f/{x...}", "/f/*", NULL}},
    {"/f/a.json/b",
     {"/f/{x}.json/b", "/f/{x}.json/*", "/f/{x}n/b", "/f/{x}/b", "/f/{x}/{y}", "/f/{x}/*", NULL}},
};

static void the_leftmost_difference_decides(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(SPECIFICITY); i++) {
        struct route routes[12] = {0};
        size_t count = 0;
        while (SPECIFICITY[i].order[count])
            count++;
        for (size_t k = 0; k < count; k++)
            routes[k].path = routes[k].name = SPECIFICITY[i].order[count - 1 - k];
        struct router *router = router_of(routes);
        for (size_t k = 0; k < count; k++) {
            assert_string_equal(match(router, SPECIFICITY[i].path), SPECIFICITY[i].order[k]);
            for (size_t r = 0; r < count; r++)
                routes[r].refused |= routes[r].name == SPECIFICITY[i].order[k];
        }
        assert_string_equal(match(router, SPECIFICITY[i].path), "none");
        router_unref(router);
    }
}

static void a_path_that_is_no_path_takes_any(void **state)
{
    (void)state;
    struct route routes[] = {{.name = "any"}, {.name = "all", .path = "/*"}, {.name = NULL}};
    struct router *router = router_of(routes);
    assert_string_equal(match(router, "/x"), "all");
    assert_string_equal(match(router, "*"), "any");
    router_unref(router);
}

static void hosts_are_exact_then_longer_wildcards_then_any(void **state)
{
    (void)state;
    struct route routes[] = {
        {.name = "any", .path = "/*"},
        {.name = "star", .hosts = {"*"}, .path = "/star"},
        {.name = "short", .hosts = {"*.example"}, .path = "/*"},
        {.name = "long", .hosts = {"*.shop.example"}, .path = "/*"},
        {.name = "exact", .hosts = {"a.shop.example", "b.example"}, .path = "/*"},
        {.name = NULL},
    };
    static const char *const EXPECTED[][2] = {
        {"a.shop.example", "exact"},
        {"b.example", "exact"},
        {"b.shop.example", "long"},
        {"x.y.shop.example", "long"},
        {"shop.example", "short"},
        {"x.b.example", "short"},
        {"example", "any"},
        {".example", "any"},
        {"xshop.example", "short"},
        {"other", "any"},
        {"", "any"},
        {"a.shop.example.org", "any"},
    };
    struct router *router = router_of(routes);
    for (size_t i = 0; i < COUNT_OF(EXPECTED); i++)
        assert_string_equal(match_host(router, EXPECTED[i][0], "/", NULL), EXPECTED[i][1]);
    assert_string_equal(match_host(router, "other", "/star", NULL), "star");
    router_unref(router);
}

static void a_refused_candidate_gives_way_to_the_next(void **state)
{
    (void)state;
    struct route routes[] = {
        {.name = "exact", .hosts = {"a.example"}, .path = "/x/y"},
        {.name = "template", .hosts = {"a.example"}, .path = "/x/{z}"},
        {.name = "prefix", .hosts = {"a.example"}, .path = "/x/*"},
        {.name = "wildcard", .hosts = {"*.example"}, .path = "/x/y"},
        {.name = "any", .path = "/x/y"},
        {.name = NULL},
    };
    struct router *router = router_of(routes);
    for (size_t i = 0; routes[i].name; i++) {
        assert_string_equal(match_host(router, "a.example", "/x/y", NULL), routes[i].name);
        routes[i].refused = true;
    }
    assert_string_equal(match_host(router, "a.example", "/x/y", NULL), "none");
    router_unref(router);
}

static void a_dead_end_leads_back(void **state)
{
    (void)state;
    struct route routes[] = {
        {.name = "deep", .path = "/a/b/c/d"},
        {.name = "back", .path = "/{x}/b/c/e"},
        {.name = "further", .path = "/{x}/{y}/c/f"},
        {.name = "suffix", .path = "/{x}/{y}b/c/g"},
        {.name = NULL},
    };
    struct router *router = router_of(routes);
    struct route_captures captures;
    assert_string_equal(match(router, "/a/b/c/d"), "deep");
    assert_string_equal(match(router, "/a/b/c/e"), "back");
    assert_string_equal(match_host(router, "h", "/a/b/c/f", &captures), "further");
    assert_int_equal(captures.count, 2);
    assert_text(captures.items[1].value, "b");
    assert_string_equal(match(router, "/a/b/c/g"), "none");
    assert_string_equal(match_host(router, "h", "/a/bb/c/g", &captures), "suffix");
    assert_text(captures.items[0].value, "a");
    assert_text(captures.items[1].value, "b");
    router_unref(router);
}

static void priority_comes_before_host_and_path(void **state)
{
    (void)state;
    struct route routes[] = {
        {.name = "exact", .hosts = {"a.example"}, .path = "/x"},
        {.name = "low", .hosts = {"a.example"}, .path = "/x", .priority = -1, .conditions = 9},
        {.name = "high", .path = "/*", .priority = 2},
        {.name = "higher", .hosts = {"*.example"}, .path = "~ ^/(?<all>.*)", .priority = INT32_MAX},
        {.name = "lowest", .priority = INT32_MIN},
        {.name = NULL},
    };
    static const size_t ORDER[] = {3, 2, 0, 1, 4};
    struct router *router = router_of(routes);
    for (size_t i = 0; i < COUNT_OF(ORDER); i++) {
        assert_string_equal(match_host(router, "a.example", "/x", NULL), routes[ORDER[i]].name);
        routes[ORDER[i]].refused = true;
    }
    router_unref(router);
}

static void on_the_same_path_conditions_then_names_decide(void **state)
{
    (void)state;
    struct route routes[] = {
        {.name = "c", .path = "/x"},
        {.name = "a", .path = "/x"},
        {.name = "b", .path = "/x", .conditions = 2},
        {.name = "z", .path = "/x", .conditions = 3},
        {.name = "ab", .path = "/x"},
        {.name = "p", .path = "/x", .priority = 1},
        {.name = NULL},
    };
    static const size_t ORDER[] = {5, 3, 2, 1, 4, 0};
    struct router *router = router_of(routes);
    for (size_t i = 0; i < COUNT_OF(ORDER); i++) {
        assert_string_equal(match(router, "/x"), routes[ORDER[i]].name);
        routes[ORDER[i]].refused = true;
    }
    router_unref(router);
}

static void captures_have_the_names_of_the_winner(void **state)
{
    (void)state;
    struct route routes[] = {
        {.name = "one", .path = "/o/{id}"},
        {.name = "two", .path = "/o/{order}/items/{item}.{format}"}, /* refused, see below */
        {.name = NULL},
    };
    enum path_form form;
    assert_false(router_check_path(text_of(routes[1].path), &form, NULL));
    routes[1].path = "/o/{order}/items/{item}.json/{rest...}";
    struct router *router = router_of(routes);
    struct route_captures captures;
    assert_string_equal(match_host(router, "h", "/o/7", &captures), "one");
    assert_int_equal(captures.count, 1);
    assert_text(captures.items[0].name, "id");
    assert_text(captures.items[0].value, "7");
    assert_string_equal(match_host(router, "h", "/o/7/items/x.y.json/p/q", &captures), "two");
    assert_int_equal(captures.count, 3);
    assert_text(captures.items[0].name, "order");
    assert_text(captures.items[1].name, "item");
    assert_text(captures.items[1].value, "x.y");
    assert_text(captures.items[2].name, "rest");
    assert_text(captures.items[2].value, "p/q");
    router_unref(router);
}

static void sixteen_captures_fit_and_a_rest_among_them(void **state)
{
    (void)state;
    struct route routes[] = {
        {.name = "full", .path = "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p...}"},
        {.name = NULL}};
    struct router *router = router_of(routes);
    struct route_captures captures;
    assert_string_equal(match_host(router, "h", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", &captures),
                        "full");
    assert_int_equal(captures.count, ROUTER_CAPTURES_MAX);
    assert_text(captures.items[15].value, "16/17");
    router_unref(router);
}

static void named_groups_are_captures(void **state)
{
    (void)state;
    struct route routes[] = {{.name = "it", .path = "~ ^/v(?<version>[0-9]+)(/(?<rest>.+))?(x)?$"},
                             {.name = NULL}};
    struct router *router = router_of(routes);
    struct route_captures captures;
    assert_string_equal(match_host(router, "h", "/v12", &captures), "it");
    assert_int_equal(captures.count, 1);
    assert_text(captures.items[0].name, "version");
    assert_text(captures.items[0].value, "12");
    assert_string_equal(match_host(router, "h", "/v1/a", &captures), "it");
    assert_int_equal(captures.count, 2);
    router_unref(router);
}

static void a_regular_expression_that_works_too_long_does_not_fit(void **state)
{
    (void)state;
    struct route routes[] = {
        {.name = "evil", .path = "~ ^/((a+)+)+$"}, {.name = "plain", .path = "/*"}, {.name = NULL}};
    struct router *router = router_of(routes);
    uint64_t hits = router_regex_limit_hits();
    assert_string_equal(match(router, "/aaa"), "evil");
    assert_string_equal(match(router, "/b"), "plain");
    assert_int_equal(router_regex_limit_hits(), hits);
    assert_string_equal(match(router, "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"), "plain");
    assert_int_equal(router_regex_limit_hits(), hits + 1);
    router_unref(router);
}

static void a_match_does_not_allocate(void **state)
{
    (void)state;
    struct route routes[] = {
        {.name = "a", .hosts = {"*.example"}, .path = "/f/{x}.json/{y...}"},
        {.name = "b", .path = "~ ^/(?<a>.*)b$"},
        {.name = NULL},
    };
    struct router *router = router_of(routes);
    struct route_captures captures;
    assert_string_equal(match_host(router, "h", "/ab", &captures),
                        "b"); /* the thread's first regular expression */
    uint64_t calls = memory_calls();
    assert_string_equal(match_host(router, "h.example", "/f/a.json/b", &captures), "a");
    assert_string_equal(match_host(router, "h", "/aab", &captures), "b");
    assert_int_equal(memory_calls(), calls);
    router_unref(router);
}

static void an_edit_is_refused_as_a_whole(void **state)
{
    (void)state;
    struct route a = {.name = "a", .path = "/a", .hosts = {"x", "y"}}, b = {.name = "b", .path = "/b"};
    struct route c = {.name = "c", .path = "~ ("}, d = {.name = "d", .path = "/d", .hosts = {"x.*"}};
    struct text hosts[4][REFERENCE_HOSTS_MAX];
    struct router *empty = router_new();
    struct router_change add_a = reference_change(&a, false, hosts[0]),
                         remove_a = reference_change(&a, true, hosts[0]);
    struct router *router = router_edit(empty, &add_a, 1, NULL);
    assert_non_null(router);
    struct router_change tries[][2] = {
        {reference_change(&b, false, hosts[1]), add_a},
        {reference_change(&b, false, hosts[1]), reference_change(&c, false, hosts[2])},
        {reference_change(&b, false, hosts[1]), reference_change(&d, false, hosts[3])},
        {reference_change(&b, false, hosts[1]), reference_change(&c, true, hosts[2])},
        {remove_a, remove_a},
        {reference_change(&b, true, hosts[1]), add_a},
        {remove_a, remove_a},
    };
    tries[6][0].key.hosts_count = 1; /* not with all its hosts */
    static const int CODES[] = {-EEXIST, -EINVAL, -EINVAL, -ENOENT, -ENOENT, -ENOENT, -ENOENT};
    size_t alive = router_nodes_alive();
    for (size_t i = 0; i < COUNT_OF(tries); i++) {
        struct error error = {0};
        assert_null(router_edit(router, tries[i], 2, &error));
        assert_int_equal(error.code, CODES[i]);
        assert_int_equal(router_nodes_alive(), alive);
    }
    assert_int_equal(router_count(router), 1);
    assert_int_equal(router_count(empty), 0);
    router_unref(router);
    router_unref(empty);
    assert_int_equal(router_nodes_alive(), 0);
}

static void a_host_given_twice_counts_once(void **state)
{
    (void)state;
    struct route a = {.name = "a", .path = "/a", .hosts = {"x", "y", "x"}};
    struct text hosts[REFERENCE_HOSTS_MAX];
    struct router_change change = reference_change(&a, false, hosts);
    struct router *empty = router_new(), *router = router_edit(empty, &change, 1, NULL);
    assert_non_null(router);
    assert_string_equal(match_host(router, "x", "/a", NULL), "a");
    change.remove = true;
    struct router *without = router_edit(router, &change, 1, NULL);
    assert_non_null(without);
    assert_string_equal(match_host(without, "x", "/a", NULL), "none");
    router_unref(without);
    router_unref(router);
    router_unref(empty);
    assert_int_equal(router_nodes_alive(), 0);
}

static void a_route_is_replaced_in_one_edit(void **state)
{
    (void)state;
    struct route old = {.name = "a", .path = "/a/{x}"},
                 new = {.name = "a", .path = "/a/{x}", .conditions = 1};
    struct text hosts[2][REFERENCE_HOSTS_MAX];
    struct router_change first = reference_change(&old, false, hosts[0]);
    struct router_change both[] = {reference_change(&old, true, hosts[0]),
                                   reference_change(&new, false, hosts[1])};
    struct router *empty = router_new(), *router = router_edit(empty, &first, 1, NULL);
    struct router *next = router_edit(router, both, 2, NULL);
    assert_non_null(next);
    assert_ptr_equal(router_match(router, TEXT("h"), TEXT("/a/b"), NULL, NULL, NULL), &old);
    assert_ptr_equal(router_match(next, TEXT("h"), TEXT("/a/b"), NULL, NULL, NULL), &new);
    router_unref(router_ref(next));
    router_unref(next);
    router_unref(router);
    router_unref(empty);
    router_unref(NULL);
    assert_int_equal(router_nodes_alive(), 0);
}

static bool note(struct route *route, void *context)
{
    char *said = context;
    snprintf(said + strlen(said), 64 - strlen(said), "%s ", route->name);
    return strcmp(route->name, "stop");
}

static void candidates_come_in_order_until_enough(void **state)
{
    (void)state;
    struct route routes[] = {
        {.name = "low", .path = "/a", .priority = -5},
        {.name = "exact", .path = "/a", .refused = true},
        {.name = "regex", .path = "~ ^/[a-b]$"},
        {.name = "high", .path = "/*", .priority = 5},
        {.name = "other", .path = "/b"},
        {.name = "stop", .priority = -6},
        {.name = "never", .priority = -7},
        {.name = NULL},
    };
    struct router *router = router_of(routes);
    char said[64] = "";
    router_candidates(router, TEXT("h"), TEXT("/a"), note, said);
    assert_string_equal(said, "high exact regex low stop ");
    router_unref(router);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_fits_what_it_says),
        cmocka_unit_test(bad_patterns_are_refused_with_their_place),
        cmocka_unit_test(bad_hosts_are_refused),
        cmocka_unit_test(the_leftmost_difference_decides),
        cmocka_unit_test(a_path_that_is_no_path_takes_any),
        cmocka_unit_test(hosts_are_exact_then_longer_wildcards_then_any),
        cmocka_unit_test(a_refused_candidate_gives_way_to_the_next),
        cmocka_unit_test(a_dead_end_leads_back),
        cmocka_unit_test(priority_comes_before_host_and_path),
        cmocka_unit_test(on_the_same_path_conditions_then_names_decide),
        cmocka_unit_test(captures_have_the_names_of_the_winner),
        cmocka_unit_test(sixteen_captures_fit_and_a_rest_among_them),
        cmocka_unit_test(named_groups_are_captures),
        cmocka_unit_test(a_regular_expression_that_works_too_long_does_not_fit),
        cmocka_unit_test(a_match_does_not_allocate),
        cmocka_unit_test(an_edit_is_refused_as_a_whole),
        cmocka_unit_test(a_host_given_twice_counts_once),
        cmocka_unit_test(a_route_is_replaced_in_one_edit),
        cmocka_unit_test(candidates_come_in_order_until_enough),
    };
    return RUN_TESTS(tests);
}
