/* Indented JSON to a stream (room-private). */
#pragma once

#include <stdio.h>

#include "config/node.h"

struct json_writer {
    FILE *to;
    int indent;
    bool is_fresh; /* nothing was written in the current object or array */
};

/* Each of these starts a value: a member of the current object where `key` is not NULL. */
void json_open(struct json_writer *json, const char *key, char bracket);
void json_close(struct json_writer *json, char bracket);
void json_text(struct json_writer *json, const char *key, struct text value);
void json_integer(struct json_writer *json, const char *key, int64_t value);
void json_raw(struct json_writer *json, const char *key, const char *value);

/* A tree; plain scalars that look like numbers, booleans or null are such unless `is_text`. */
void json_node(struct json_writer *json, const char *key, const struct node *node, bool is_text);
