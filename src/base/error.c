/* Error sentences. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *error, int code, const char *format, ...)
{
    if (!error)
        return code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->said, sizeof error->said, format, arguments);
    va_end(arguments);
    error->code = code;
    return code;
}

int error_system(struct error *error, int code, const char *format, ...)
{
    if (!error)
        return code;
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(error->said, sizeof error->said, format, arguments);
    va_end(arguments);
    error->code = code;
    if (size >= 0 && (size_t)size < sizeof error->said) {
        char buffer[128];
        const char *system = strerror_r(code < 0 ? -code : code, buffer, sizeof buffer);
        snprintf(error->said + size, sizeof error->said - (size_t)size, ": %s", system);
    }
    return code;
}
