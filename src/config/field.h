/* Field tables: the only description of what a configuration object holds. One table validates a tree, fills a C struct, and makes the
 * JSON Schema, the manual page, the admin API's checks and the console's form.
 *
 *     struct retry_config { int64_t attempts; struct array on; int64_t backoff_ms; };
 *     static const struct field retry_fields[] = {
 *         FIELD_INTEGER(struct retry_config, attempts, "attempts", "2", 0, 10, "Tries in all after the first."),
 *         FIELD_LIST(struct retry_config, on, "on", "[connect-failure]", &retry_on_item, "What is retried."),
 *         FIELD_END
 *     };
 *
 * A default is written as it would be in YAML and goes through the same checks; REQUIRED (NULL) means that the field must be there;
 * OPTIONAL ("") leaves the member zeroed. `name:` without a value is an empty list, map or struct, and an error for all else. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "config/file_stamp.h"
#include "config/node.h"
#include "config/report.h"
#include "expr/expr.h"

enum field_kind {
    FIELD_KIND_END,
    FIELD_KIND_BOOL,       /* bool */
    FIELD_KIND_INTEGER,    /* int64_t, within min and max */
    FIELD_KIND_NUMBER,     /* double, within min and max */
    FIELD_KIND_TEXT,       /* struct text, min and max are bytes */
    FIELD_KIND_SECRET,     /* struct text; never printed; a literal in the file is a warning */
    FIELD_KIND_DURATION,   /* int64_t in ms, rounded up; "1m30s" or a bare 0; min and max in ms */
    FIELD_KIND_SIZE,       /* int64_t in bytes, "64KiB", "10MB" or a bare number */
    FIELD_KIND_PERCENT,    /* double 0 to 1 from "20%" or a number from 0 to 1 */
    FIELD_KIND_CHOICE,     /* int, index into `choices` */
    FIELD_KIND_EXPRESSION, /* const struct expr *; `type` is what it must give */
    FIELD_KIND_TEMPLATE,   /* const struct expr * */
    FIELD_KIND_LIST,       /* struct array of `item` */
    /* struct array of `item`, each a struct whose key_offset member is the key (struct text); a value that is no struct goes to
     * item->offset of one that has item->size bytes: see field_item_text_pair */
    FIELD_KIND_MAP,
    FIELD_KIND_STRUCT, /* a struct in place, by `fields` */
    FIELD_KIND_NODE,   /* const struct node *, unchecked: for what another table checks */
    FIELD_KIND_CUSTOM, /* whatever `bind` makes of it; `schema` describes it */
};

enum field_flag {
    FIELD_SHORTHAND = 1,   /* where a struct is wanted and a scalar or list stands, this member takes it */
    FIELD_ONE_OR_MORE = 2, /* list: a single value may stand for a list of one */
    FIELD_NOT_EMPTY = 4,   /* list, map: at least one */
    FIELD_UNIQUE = 8,      /* list of texts: no value twice */
};

struct array {
    void *items;
    size_t count;
};

struct binder;

struct field {
    const char *name; /* NULL in an item description */
    enum field_kind kind;
    unsigned flags;
    size_t offset, size;       /* of the member; of one item when this describes an item */
    const char *default_value; /* YAML; NULL: required; "": optional */
    int64_t min, max;          /* both 0: no bounds; max below min: no upper bound; lists and maps: entries */
    const char *const *choices; /* NULL-terminated */
    const struct field *fields; /* STRUCT, and LIST/MAP items of kind STRUCT */
    const struct field *item;   /* LIST, MAP */
    size_t key_offset;          /* MAP */
    enum expr_type type;        /* EXPRESSION */
    bool (*bind)(struct binder *binder, const struct field *field, const struct node *node,
                 void *at); /* CUSTOM */
    const char *schema;     /* CUSTOM: JSON Schema fragment; NODE: the same, NULL: anything */
    const char *about;      /* what it does, in one or two sentences, for manual and schema */
    const char *example;    /* YAML, optional */
};

/* Which of the expressions that are bound uses one of these attributes: the first one is noted. For who has to provide them. */
struct expr_watch {
    const uint16_t *ids;
    size_t count;
    const struct expr *found; /* NULL: none */
};

/* One binding run. `path` grows and shrinks while it descends. */
struct binder {
    struct arena *arena; /* where structs, lists and texts live: the snapshot object's */
    struct report *report;
    const struct expr_environment *environment; /* for expressions */
    struct text path;
    void *context;              /* for custom binders */
    struct expr_watch *watches; /* of who builds a part; may be NULL */
    size_t watches_count;
    char *path_buffer; /* bind.c's own; NULL at first */
    size_t path_room;
    struct file_stamp *files; /* what was read besides the configuration: bind_depends_on() */
};

/* Fills `*into` (zeroed by the caller) from `node` by `fields`. Reports everything wrong; false if anything was. Texts point into
 * `binder->arena` (copied). */
bool field_bind(struct binder *binder, const struct field *fields, const struct node *node, void *into);

/* Binds one value, as field_bind does for a member; for custom binders. */
bool field_bind_value(struct binder *binder, const struct field *field, const struct node *node, void *at);

/* Custom binders that descend: adds ".key" or "[index]" to the path and returns what it was, for bind_leave(). */
struct text bind_enter(struct binder *binder, struct text key);
struct text bind_enter_index(struct binder *binder, size_t index);
void bind_leave(struct binder *binder, struct text path_before);

/* Reports at a node, with the binder's path and ".child" added where `child` is not NULL. Returns false, for `return bind_error(...)`. */
bool bind_error(struct binder *binder, const struct node *node, const char *child, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* What is being built was made from the file too: when it changes, the object is built anew at the next reload, and `watch` looks at it. Call it
 * before reading. Without memory the object is simply built anew each time. */
void bind_depends_on(struct binder *binder, struct text path);

/* The near miss among `count` names, .at NULL: nothing near. */
struct text near_miss(struct text word, const struct text *names, size_t count);

/* What a value of the field has to be, for messages and the manual: "a whole number from 1 to 10". In the arena. */
struct text field_describe(const struct field *field, struct arena *arena);

/* Tests: binds every default of a table and of those below it, and checks that the table itself is sound (names, texts, sizes of members).
 * What is wrong is in the report; true: nothing. Custom binders get `context`. */
bool field_check_table(const struct field *fields, const struct expr_environment *environment, void *context,
                       struct report *report);

/* clang-format off */
#define REQUIRED NULL
#define OPTIONAL ""

#define FIELD_MEMBER_(type_, member_, name_, kind_, default_, about_)                                        \
    .name = (name_), .kind = (kind_), .offset = offsetof(type_, member_),                                    \
    .size = sizeof(((type_ *)0)->member_), .default_value = (default_), .about = (about_)

#define FIELD_BOOL(t, m, n, d, a)             {FIELD_MEMBER_(t, m, n, FIELD_KIND_BOOL, d, a)}
#define FIELD_INTEGER(t, m, n, d, lo, hi, a)  {FIELD_MEMBER_(t, m, n, FIELD_KIND_INTEGER, d, a), .min = (lo), .max = (hi)}
#define FIELD_NUMBER(t, m, n, d, lo, hi, a)   {FIELD_MEMBER_(t, m, n, FIELD_KIND_NUMBER, d, a), .min = (lo), .max = (hi)}
#define FIELD_TEXT(t, m, n, d, a)             {FIELD_MEMBER_(t, m, n, FIELD_KIND_TEXT, d, a)}
#define FIELD_SECRET(t, m, n, d, a)           {FIELD_MEMBER_(t, m, n, FIELD_KIND_SECRET, d, a)}
#define FIELD_DURATION(t, m, n, d, lo, hi, a) {FIELD_MEMBER_(t, m, n, FIELD_KIND_DURATION, d, a), .min = (lo), .max = (hi)}
#define FIELD_SIZE(t, m, n, d, lo, hi, a)     {FIELD_MEMBER_(t, m, n, FIELD_KIND_SIZE, d, a), .min = (lo), .max = (hi)}
#define FIELD_PERCENT(t, m, n, d, a)          {FIELD_MEMBER_(t, m, n, FIELD_KIND_PERCENT, d, a)}
#define FIELD_CHOICE(t, m, n, d, c, a)        {FIELD_MEMBER_(t, m, n, FIELD_KIND_CHOICE, d, a), .choices = (c)}
#define FIELD_EXPRESSION(t, m, n, d, y, a)    {FIELD_MEMBER_(t, m, n, FIELD_KIND_EXPRESSION, d, a), .type = (y)}
#define FIELD_TEMPLATE(t, m, n, d, a)         {FIELD_MEMBER_(t, m, n, FIELD_KIND_TEMPLATE, d, a)}
#define FIELD_LIST(t, m, n, d, i, f, a)       {FIELD_MEMBER_(t, m, n, FIELD_KIND_LIST, d, a), .item = (i), .flags = (f)}
#define FIELD_MAP(t, m, n, d, i, k, a)        {FIELD_MEMBER_(t, m, n, FIELD_KIND_MAP, d, a), .item = (i), .key_offset = (k)}
#define FIELD_STRUCT(t, m, n, d, s, a)        {FIELD_MEMBER_(t, m, n, FIELD_KIND_STRUCT, d, a), .fields = (s)}
#define FIELD_NODE(t, m, n, d, s, a)          {FIELD_MEMBER_(t, m, n, FIELD_KIND_NODE, d, a), .schema = (s)}
#define FIELD_CUSTOM(t, m, n, d, b, s, a)     {FIELD_MEMBER_(t, m, n, FIELD_KIND_CUSTOM, d, a), .bind = (b), .schema = (s)}
#define FIELD_END                             {.kind = FIELD_KIND_END}

/* Descriptions of items, for lists and maps. */
#define ITEM_STRUCT(type_, fields_)        {.kind = FIELD_KIND_STRUCT, .size = sizeof(type_), .fields = (fields_)}
#define ITEM_CHOICE(choices_)              {.kind = FIELD_KIND_CHOICE, .size = sizeof(int), .choices = (choices_)}
#define ITEM_CUSTOM(type_, bind_, schema_) {.kind = FIELD_KIND_CUSTOM, .size = sizeof(type_), .bind = (bind_), .schema = (schema_)}
/* clang-format on */

extern const struct field field_item_text, field_item_secret, field_item_template, field_item_integer,
    field_item_node;

/* For FIELD_MAP with key_offset 0: a map of texts or of templates, such as `headers`. */
struct text_pair {
    struct text key, value;
};
struct template_pair {
    struct text key;
    const struct expr *value;
};
extern const struct field field_item_text_pair, field_item_template_pair;
