/* What libyaml could not read, in words that say what to do (room-private). */
#pragma once

#include <yaml.h>

#include "config/reading.h"

/* Reports why the parser stopped, at its place. */
void yaml_problem_report(struct reading *reading, const struct source *source, const yaml_parser_t *parser);

static inline struct place yaml_place(const struct source *source, yaml_mark_t mark)
{
    return (struct place){source, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}
