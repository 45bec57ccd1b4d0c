/* Sorting of lists by a list of keys. Internal to the room. */
#pragma once

#include "expr/node.h"

/* `items` in the ascending, stable order of `keys`, which are of one kind that has an order (numbers mix). */
bool sort_by_keys(struct evaluation *evaluation, const struct value_list *items, const struct value *keys,
                  struct value *ret_value);
