/* Field names that the core and the policies ask for by number. The table in names.def is the only list. */
#pragma once

#include "base/text.h"

enum field_name {
    NAME_OTHER,
#define NAME(identifier, text) NAME_##identifier,
#include "http/names.def"
#undef NAME
    NAMES_COUNT
};

/* Without case; NAME_OTHER for a name that is not in the table. Constant time in the size of the table. */
enum field_name field_name_parse(struct text name);

/* The same for a name that lies in a text which may be read up to `end`: faster where 32 bytes are there. */
enum field_name field_name_parse_within(struct text name, const char *end);

/* As it is written in the registry of field names, "Content-Type". */
struct text field_name_text(enum field_name id);
