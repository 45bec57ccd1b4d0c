/* Parts of `turnpike manual`. */
#pragma once

#include <stdio.h>

/* Every attribute as a table, and every function with its examples, as Markdown (manual_expressions.c). */
void manual_write_attributes(FILE *to);
void manual_write_functions(FILE *to);
