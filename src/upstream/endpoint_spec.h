/* An endpoint as it is configured, in a service or in an endpoints file. */
#pragma once

#include "config/field.h"

struct endpoint_spec {
    struct text url;
    int64_t weight, priority;
    struct text zone;
    struct array labels; /* struct text_pair */
    bool drain;
};

extern const struct field endpoint_spec_item;
