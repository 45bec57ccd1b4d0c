/* What a client would take: the field Accept (RFC 9110 section 12.5.1). */
#pragma once

#include "http/message.h"

/* How welcome a media type is. */
struct accept_rank {
    unsigned quality; /* thousandths; 0: not at all */
    unsigned detail; /* of the range that decided: 3 names the type, 2 all of its kind, 1 all, 0: none fits */
};

/* The rank of `type`, which is `type/subtype` without parameters. The most detailed range decides, of equal ones the better one;
 * parameters of ranges but q are not looked at. Without the field everything is welcome. */
struct accept_rank accept_rank(const struct fields *request, struct text type);

/* Is the first to be preferred to the second? By quality, then by detail. */
bool accept_is_better(struct accept_rank a, struct accept_rank b);

/* `text/html; charset=utf-8` without its parameters. */
struct text media_type(struct text content_type);

/* Is it `type/subtype`, of tokens? */
bool media_type_is_valid(struct text type);
