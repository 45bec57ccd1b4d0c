/* JSON text (RFC 8259) to values. Internal to the room; the public door is value_from_json(). */
#pragma once

#include "base/arena.h"
#include "expr/value.h"

enum { JSON_DEPTH_MAX = 100 };

/* NULL: `*ret_value` is set; otherwise why not, in a few words, with the offset in `*ret_at`. */
const char *json_parse(struct text json, struct arena *arena, struct value *ret_value, size_t *ret_at);
