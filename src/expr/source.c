/* A source under compilation: failures with their place. */
#include <stdarg.h>
#include <stdio.h>

#include "expr/ast.h"

void text_position(struct text text, size_t at, uint32_t *ret_line, uint32_t *ret_column)
{
    uint32_t line = 1, column = 1;
    for (size_t i = 0; i < at && i < text.size; i++) {
        if (text.at[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)text.at[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    *ret_line = line;
    *ret_column = column;
}

void *source_fail(struct source *source, size_t at, const char *format, ...)
{
    if (source->failed)
        return NULL;
    source->failed = true;
    text_position(source->text, at, &source->error->line, &source->error->column);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(source->error->said, sizeof source->error->said, format, arguments);
    va_end(arguments);
    return NULL;
}

void *source_fail_memory(struct source *source)
{
    return source_fail(source, 0, "out of memory for the expression");
}
