/* Field lines, methods and the small grammars that messages are made of. */
#include "http/message.h"

#include "base/check.h"
#include "http/scan.h"

enum { FIELDS_CAPACITY_FIRST = 16, FIELDS_COUNT_MAX = 1 << 20 };

static const struct {
    struct text name;
    bool safe, idempotent;
} methods[METHODS_COUNT] = {
    [METHOD_OTHER] = {TEXT_INIT(""), false, false},
    [METHOD_GET] = {TEXT_INIT("GET"), true, true},
    [METHOD_HEAD] = {TEXT_INIT("HEAD"), true, true},
    [METHOD_POST] = {TEXT_INIT("POST"), false, false},
    [METHOD_PUT] = {TEXT_INIT("PUT"), false, true},
    [METHOD_DELETE] = {TEXT_INIT("DELETE"), false, true},
    [METHOD_CONNECT] = {TEXT_INIT("CONNECT"), false, false},
    [METHOD_OPTIONS] = {TEXT_INIT("OPTIONS"), true, true},
    [METHOD_TRACE] = {TEXT_INIT("TRACE"), true, true},
    [METHOD_PATCH] = {TEXT_INIT("PATCH"), false, false},
};

enum http_method method_parse(struct text name)
{
    for (unsigned i = METHOD_GET; i < METHODS_COUNT; i++)
        if (text_equal(name, methods[i].name))
            return (enum http_method)i;
    return METHOD_OTHER;
}

struct text method_text(enum http_method method)
{
    CHECK(method < METHODS_COUNT);
    return methods[method].name;
}

bool method_is_idempotent(enum http_method method)
{
    return methods[method].idempotent;
}

bool method_is_safe(enum http_method method)
{
    return methods[method].safe;
}

bool http_is_token(struct text t)
{
    return t.size > 0 && scan_class_end(t.at, t.at + t.size, CHAR_TOKEN) == t.at + t.size;
}

bool http_is_field_value(struct text t)
{
    return t.size == 0 || scan_control(t.at, t.at, t.at + t.size) == t.at + t.size;
}

bool http_list_contains(struct text value, struct text member)
{
    while (value.at)
        if (text_equal_nocase(text_trim(text_split(&value, ',')), member))
            return true;
    return false;
}

void fields_init(struct fields *fields, struct arena *arena)
{
    *fields = (struct fields){.arena = arena};
}

bool fields_grow(struct fields *fields)
{
    uint32_t capacity = fields->capacity ? fields->capacity * 2 : FIELDS_CAPACITY_FIRST;
    if (capacity > FIELDS_COUNT_MAX)
        return false;
    struct field_line *lines = arena_alloc(fields->arena, capacity * sizeof *lines);
    if (!lines)
        return false;
    if (fields->count)
        memcpy(lines, fields->lines, fields->count * sizeof *lines);
    fields->lines = lines;
    fields->capacity = capacity;
    return true;
}

static bool append(struct fields *fields, unsigned id, struct text name, struct text value)
{
    struct field_line *line = fields_reserve(fields);
    if (!line)
        return false;
    *line = (struct field_line){name, value, (uint8_t)id, false};
    fields_commit(fields);
    return true;
}

bool fields_add_known(struct fields *fields, enum field_name id, struct text value)
{
    CHECK(id != NAME_OTHER && id < NAMES_COUNT);
    return append(fields, id, field_name_text(id), value);
}

bool fields_add(struct fields *fields, struct text name, struct text value)
{
    return append(fields, field_name_parse(name), name, value);
}

/* Is this a line of that name? Known names are compared by number. */
static bool line_is(const struct field_line *line, unsigned id, struct text name)
{
    return !line->removed && line->id == id && (id != NAME_OTHER || text_equal_nocase(line->name, name));
}

static struct field_line *find(const struct fields *fields, unsigned id, struct text name)
{
    if (!(fields->known[id / 64] >> id % 64 & 1))
        return NULL;
    for (struct field_line *line = fields->lines; line < fields->lines + fields->count; line++)
        if (line_is(line, id, name))
            return line;
    return NULL;
}

static unsigned remove_after(struct fields *fields, struct field_line *from, unsigned id, struct text name)
{
    unsigned removed = 0;
    for (struct field_line *line = from; line < fields->lines + fields->count; line++)
        if (line_is(line, id, name))
            line->removed = true, removed++;
    return removed;
}

static unsigned remove_all(struct fields *fields, unsigned id, struct text name)
{
    struct field_line *first = find(fields, id, name);
    unsigned removed = first ? remove_after(fields, first, id, name) : 0;
    if (id != NAME_OTHER)
        fields->known[id / 64] &= ~(1ull << id % 64);
    return removed;
}

static bool set(struct fields *fields, unsigned id, struct text name, struct text value)
{
    struct field_line *first = find(fields, id, name);
    if (!first)
        return append(fields, id, name, value);
    first->value = value;
    remove_after(fields, first + 1, id, name);
    return true;
}

bool fields_set_known(struct fields *fields, enum field_name id, struct text value)
{
    CHECK(id != NAME_OTHER && id < NAMES_COUNT);
    return set(fields, id, field_name_text(id), value);
}

bool fields_set(struct fields *fields, struct text name, struct text value)
{
    return set(fields, field_name_parse(name), name, value);
}

unsigned fields_remove_known(struct fields *fields, enum field_name id)
{
    CHECK(id != NAME_OTHER && id < NAMES_COUNT);
    return remove_all(fields, id, TEXT(""));
}

unsigned fields_remove(struct fields *fields, struct text name)
{
    return remove_all(fields, field_name_parse(name), name);
}

struct field_line *fields_find_known(const struct fields *fields, enum field_name id)
{
    CHECK(id != NAME_OTHER && id < NAMES_COUNT);
    return find(fields, id, TEXT(""));
}

struct field_line *fields_find(const struct fields *fields, struct text name)
{
    return find(fields, field_name_parse(name), name);
}

static struct text value_of(const struct field_line *line)
{
    return line ? line->value : (struct text){NULL, 0};
}

struct text fields_get_known(const struct fields *fields, enum field_name id)
{
    return value_of(fields_find_known(fields, id));
}

struct text fields_get(const struct fields *fields, struct text name)
{
    return value_of(fields_find(fields, name));
}

struct text fields_joined(const struct fields *fields, struct text name, struct arena *arena)
{
    unsigned id = field_name_parse(name);
    const struct field_line *first = find(fields, id, name);
    if (!first)
        return (struct text){NULL, 0};
    const struct field_line *end = fields->lines + fields->count;
    size_t size = 0, count = 0;
    for (const struct field_line *line = first; line < end; line++)
        if (line_is(line, id, name))
            size += line->value.size + 2, count++;
    if (count == 1)
        return first->value;
    char *joined = arena_alloc(arena, size), *at = joined;
    if (!joined)
        return TEXT("");
    for (const struct field_line *line = first; line < end; line++) {
        if (!line_is(line, id, name))
            continue;
        if (at > joined)
            *at++ = ',', *at++ = ' ';
        if (line->value.size)
            at = (char *)memcpy(at, line->value.at, line->value.size) + line->value.size;
    }
    return (struct text){joined, (size_t)(at - joined)};
}
