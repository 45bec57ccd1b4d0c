/* A set of statuses of HTTP, as configurations list them: `503`, `500-504`, `5xx`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct binder;
struct field;
struct node;

enum { STATUS_FIRST = 100, STATUS_LAST = 599 };

struct status_set {
    uint64_t bits[8];
};

static inline bool status_set_has(const struct status_set *set, unsigned status)
{
    unsigned bit = status - STATUS_FIRST; /* wraps below the first */
    return bit <= STATUS_LAST - STATUS_FIRST && (set->bits[bit / 64] >> (bit % 64) & 1);
}

/* "200-299, 304" into `to`; what does not fit is left out. */
struct text status_set_write(const struct status_set *set, char *to, size_t room);

/* Custom binder of a `struct status_set`, from one entry or a list of them. */
bool status_set_bind(struct binder *binder, const struct field *field, const struct node *node, void *at);
extern const char status_set_schema[];
