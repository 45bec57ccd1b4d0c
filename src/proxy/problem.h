/* Problem documents (RFC 9457): what a caller is told when the gateway answers itself. */
#pragma once

#include "base/text.h"

struct exchange;

/* {"type":"about:blank","title":...,"status":...,"detail":...,"request_id":...} in the exchange arena. */
struct text problem_write(struct exchange *ex, unsigned status, struct text detail);

/* The answer for an outcome of the core: status and sentence. */
struct problem {
    unsigned status;
    struct text detail;
};
struct problem problem_of(unsigned error);
