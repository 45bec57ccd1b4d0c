/* One scalar becomes a boolean, number, text, duration, size, percentage or choice, or a message that says what was meant. */
#include <math.h>
#include <stdio.h>

#include "base/check.h"
#include "base/time.h"
#include "config/bind_private.h"
#include "config/size.h"

static struct text did_you_mean(struct binder *binder, struct text near)
{
    return near.at ? arena_format(binder->report->arena, "did you mean `%.*s`?", TEXT_ARGS(near)) : TEXT("");
}

/* A reference brought the value in: no remark may quote a part of it. */
static struct text remark_on(const struct node *node, struct text remark)
{
    return node->secret ? TEXT("") : remark;
}

static bool bind_bool(struct binder *binder, const struct field *field, const struct node *node, bool *at)
{
    static const char *const yes[] = {"yes", "on", "y", "enabled", "1"}, *const no[] = {"no", "off", "n",
                                                                                        "disabled", "0"};
    bool is_true = text_equal(node->text, TEXT("true"));
    if (is_true || text_equal(node->text, TEXT("false"))) {
        if (node->quoted)
            return bind_mismatch(binder, field, node, TEXT("write it without quotes"));
        *at = is_true;
        return true;
    }
    struct text near = {NULL, 0};
    for (size_t i = 0; i < COUNT_OF(yes); i++) {
        if (text_equal_nocase(node->text, text_of(yes[i])))
            near = TEXT("true");
        if (text_equal_nocase(node->text, text_of(no[i])))
            near = TEXT("false");
    }
    const struct text both[] = {TEXT_INIT("true"), TEXT_INIT("false")};
    if (!near.at)
        near = near_miss(node->text, both, COUNT_OF(both));
    return bind_mismatch(binder, field, node, remark_on(node, did_you_mean(binder, near)));
}

/* Whole numbers of the core schema: decimal, 0x and 0o. */
static bool parse_integer(struct text t, int64_t *ret_value)
{
    bool is_hex = text_starts_with(t, TEXT("0x")), is_octal = text_starts_with(t, TEXT("0o"));
    if (!is_hex && !is_octal)
        return text_to_int64(text_slice(t, text_starts_with(t, TEXT("+")), t.size), ret_value);
    int64_t value = 0;
    for (size_t i = 2; i < t.size; i++) {
        int digit = char_hex(t.at[i]), base = is_hex ? 16 : 8;
        if (digit < 0 || digit >= base || __builtin_mul_overflow(value, base, &value)
            || __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *ret_value = value;
    return t.size > 2;
}

static bool is_within(const struct field *field, double value)
{
    if (!field_has_bounds(field))
        return true;
    return value >= (double)field->min && (!field_has_max(field) || value <= (double)field->max);
}

static bool is_integer_within(const struct field *field, int64_t value)
{
    if (!field_has_bounds(field))
        return true;
    return value >= field->min && (!field_has_max(field) || value <= field->max);
}

static bool bind_integer(struct binder *binder, const struct field *field, const struct node *node,
                         int64_t *at)
{
    int64_t value;
    if (!parse_integer(node->text, &value) || !is_integer_within(field, value))
        return bind_mismatch(binder, field, node, TEXT(""));
    if (node->quoted)
        return bind_mismatch(binder, field, node, TEXT("write it without quotes"));
    *at = value;
    return true;
}

static bool bind_number(struct binder *binder, const struct field *field, const struct node *node, double *at)
{
    double value;
    if (!text_to_double(node->text, &value) || !is_within(field, value))
        return bind_mismatch(binder, field, node, TEXT(""));
    if (node->quoted)
        return bind_mismatch(binder, field, node, TEXT("write it without quotes"));
    *at = value;
    return true;
}

static bool bind_text(struct binder *binder, const struct field *field, const struct node *node,
                      struct text *at)
{
    bool is_literal_secret = field->kind == FIELD_KIND_SECRET && !node->secret;
    if (is_literal_secret)
        report_hide_line(binder->report, node->place);
    if (field_has_bounds(field)
        && ((int64_t)node->text.size < field->min
            || (field_has_max(field) && (int64_t)node->text.size > field->max)))
        return bind_mismatch(binder, field, node,
                             arena_format(binder->report->arena, "it has %zu bytes", node->text.size));
    if (is_literal_secret && node->place.source)
        report_warning(
            binder->report, node->place, binder->path,
            "a secret is written in the file: keep it elsewhere and name it by ${file:PATH} or ${env:NAME}");
    *at = arena_copy(binder->arena, node->text);
    return true;
}

static bool bind_duration(struct binder *binder, const struct field *field, const struct node *node,
                          int64_t *at)
{
    int64_t ns, ms;
    double number;
    struct arena *arena = binder->report->arena;
    bool is_number = text_to_double(node->text, &number);
    if (is_number && number == 0) {
        ns = 0;
    } else if (is_number && number > 0 && !node->secret) {
        return bind_mismatch(binder, field, node,
                             arena_format(arena, "the unit is missing; did you mean `%.*ss` or `%.*sms`?",
                                          TEXT_ARGS(node->text), TEXT_ARGS(node->text)));
    } else if (!time_parse_duration(node->text, &ns)) {
        return bind_mismatch(binder, field, node, TEXT("units are ms, s, m, h, d and w, the largest first"));
    }
    if (ns > 0 && ns < NS_PER_MS)
        return bind_mismatch(binder, field, node, TEXT("one millisecond is the shortest time here"));
    ms = ns / NS_PER_MS + (ns % NS_PER_MS > 0); /* a deadline is rather a little late than early */
    if (!is_integer_within(field, ms))
        return bind_mismatch(binder, field, node, TEXT(""));
    *at = ms;
    return true;
}

static bool bind_size(struct binder *binder, const struct field *field, const struct node *node, int64_t *at)
{
    int64_t bytes;
    char near[64];
    if (!size_parse(node->text, &bytes)) {
        struct text remark = did_you_mean(binder, size_near_miss(node->text, near));
        return bind_mismatch(binder, field, node, remark_on(node, remark));
    }
    if (!is_integer_within(field, bytes))
        return bind_mismatch(binder, field, node, TEXT(""));
    *at = bytes;
    return true;
}

static bool bind_percent(struct binder *binder, const struct field *field, const struct node *node,
                         double *at)
{
    double value;
    bool has_sign = text_ends_with(node->text, TEXT("%"));
    struct text number = has_sign ? text_slice(node->text, 0, node->text.size - 1) : node->text;
    if (!text_to_double(number, &value))
        return bind_mismatch(binder, field, node, TEXT(""));
    if (!has_sign && value > 1 && value <= 100) {
        struct text near = arena_format(binder->report->arena, "%.*s%%", TEXT_ARGS(number));
        return bind_mismatch(binder, field, node, remark_on(node, did_you_mean(binder, near)));
    }
    value = has_sign ? value / 100 : value;
    if (!(value >= 0 && value <= 1))
        return bind_mismatch(binder, field, node, TEXT(""));
    *at = value;
    return true;
}

static bool bind_choice(struct binder *binder, const struct field *field, const struct node *node, int *at)
{
    enum { CHOICES_MAX = 64 };
    struct text names[CHOICES_MAX];
    size_t count = 0;
    for (; field->choices[count]; count++) {
        CHECK(count < CHOICES_MAX);
        names[count] = text_of(field->choices[count]);
        if (text_equal(names[count], node->text)) {
            *at = (int)count;
            return true;
        }
    }
    struct text near = near_miss(node->text, names, count);
    return bind_mismatch(binder, field, node, remark_on(node, did_you_mean(binder, near)));
}

bool bind_scalar(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    if (node->kind == NODE_NULL)
        return bind_mismatch(binder, field, node, TEXT("give it a value or leave it out"));
    if (node->kind != NODE_SCALAR)
        return bind_mismatch(binder, field, node, TEXT(""));
    switch (field->kind) {
    case FIELD_KIND_BOOL: return bind_bool(binder, field, node, at);
    case FIELD_KIND_INTEGER: return bind_integer(binder, field, node, at);
    case FIELD_KIND_NUMBER: return bind_number(binder, field, node, at);
    case FIELD_KIND_TEXT:
    case FIELD_KIND_SECRET: return bind_text(binder, field, node, at);
    case FIELD_KIND_DURATION: return bind_duration(binder, field, node, at);
    case FIELD_KIND_SIZE: return bind_size(binder, field, node, at);
    case FIELD_KIND_PERCENT: return bind_percent(binder, field, node, at);
    case FIELD_KIND_CHOICE: return bind_choice(binder, field, node, at);
    case FIELD_KIND_END:
    case FIELD_KIND_EXPRESSION:
    case FIELD_KIND_TEMPLATE:
    case FIELD_KIND_LIST:
    case FIELD_KIND_MAP:
    case FIELD_KIND_STRUCT:
    case FIELD_KIND_NODE:
    case FIELD_KIND_CUSTOM: break;
    }
    UNREACHABLE();
}
