/* Reads sets of statuses. */
#include "upstream/status_set.h"

#include <stdio.h>

#include "base/check.h"
#include "config/field.h"

#define ENTRY                                                                                                \
    "{\"type\":[\"integer\",\"string\"],\"pattern\":\"^([1-5][xX][xX]|[1-5][0-9][0-9](-[1-5][0-9][0-9])?)$\"}"
const char status_set_schema[] = "{\"anyOf\":[" ENTRY ",{\"type\":\"array\",\"items\":" ENTRY "}]}";

static bool parse_status(struct text t, uint64_t *ret_status)
{
    return t.size == 3 && text_to_uint64(t, ret_status) && *ret_status >= STATUS_FIRST
           && *ret_status <= STATUS_LAST;
}

static bool parse_range(struct text t, uint64_t *ret_first, uint64_t *ret_last)
{
    if (t.size == 3 && text_equal_nocase(text_slice(t, 1, 3), TEXT("xx")) && t.at[0] >= '1'
        && t.at[0] <= '5') {
        *ret_first = (uint64_t)(t.at[0] - '0') * 100;
        *ret_last = *ret_first + 99;
        return true;
    }
    size_t dash = text_find_char(t, '-');
    if (dash == TEXT_NONE)
        return parse_status(t, ret_first) && parse_status(t, ret_last);
    return parse_status(text_slice(t, 0, dash), ret_first)
           && parse_status(text_slice(t, dash + 1, t.size), ret_last) && *ret_first <= *ret_last;
}

static bool add_entry(struct binder *binder, const struct node *node, struct status_set *set)
{
    uint64_t first, last;
    if (node->kind != NODE_SCALAR || !parse_range(node->text, &first, &last))
        return bind_error(
            binder, node, NULL,
            "wants a status such as `503`, a range such as `500-504`, or a class such as `5xx`");
    for (uint64_t bit = first - STATUS_FIRST; bit <= last - STATUS_FIRST; bit++)
        set->bits[bit / 64] |= UINT64_C(1) << (bit % 64);
    return true;
}

bool status_set_bind(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    struct status_set *set = at;
    bool fine = true;
    (void)field;
    *set = (struct status_set){{0}};
    if (node->kind == NODE_NULL)
        return true;
    if (node->kind != NODE_LIST)
        return add_entry(binder, node, set);
    for (uint32_t i = 0; i < node->count; i++) {
        struct text before = bind_enter_index(binder, i);
        fine &= add_entry(binder, &node->items[i], set);
        bind_leave(binder, before);
    }
    return fine;
}

struct text status_set_write(const struct status_set *set, char *to, size_t room)
{
    size_t size = 0;
    for (unsigned first = STATUS_FIRST; first <= STATUS_LAST; first++) {
        unsigned last = first;
        if (!status_set_has(set, first))
            continue;
        while (last < STATUS_LAST && status_set_has(set, last + 1))
            last++;
        int wanted = snprintf(to + size, room - size, last == first ? "%s%u" : "%s%u-%u", size ? ", " : "",
                              first, last);
        if (wanted < 0 || (size_t)wanted >= room - size)
            break;
        size += (size_t)wanted;
        first = last;
    }
    return (struct text){to, size};
}
