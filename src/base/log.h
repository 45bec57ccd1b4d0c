/* The program's own structured log: one line per event, with typed fields.
 *
 * Lines go to a sink; the default one writes to standard error with one write(2). The gateway process installs a sink that hands
 * lines to the control thread, so that a worker never waits for standard error. Values are escaped: what a client sent cannot
 * forge a line. Thread-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_field {
    const char *name;
    enum { LOG_FIELD_TEXT, LOG_FIELD_INTEGER } kind;
    struct text text;
    int64_t integer;
};

#define LOG_TEXT(name_, value)                                                                               \
    {                                                                                                        \
        .name = (name_), .kind = LOG_FIELD_TEXT, .text = (value)                                             \
    }
#define LOG_STRING(name_, value)                                                                             \
    {                                                                                                        \
        .name = (name_), .kind = LOG_FIELD_TEXT, .text = text_of(value)                                      \
    }
#define LOG_INT(name_, value)                                                                                \
    {                                                                                                        \
        .name = (name_), .kind = LOG_FIELD_INTEGER, .integer = (int64_t)(value)                              \
    }

/* log_info("listening", LOG_STRING("address", a), LOG_INT("workers", 2)); the fields are not evaluated below the level. */
#define LOG_AT(level_, message, ...)                                                                         \
    do {                                                                                                     \
        if (log_enabled(level_)) {                                                                           \
            const struct log_field log_fields_[] = {{0}, ##__VA_ARGS__};                                     \
            log_write((level_), (message), log_fields_ + 1, sizeof log_fields_ / sizeof *log_fields_ - 1);   \
        }                                                                                                    \
    } while (0)

#define log_debug(message, ...) LOG_AT(LOG_DEBUG, message, ##__VA_ARGS__)
#define log_info(message, ...)  LOG_AT(LOG_INFO, message, ##__VA_ARGS__)
#define log_warn(message, ...)  LOG_AT(LOG_WARN, message, ##__VA_ARGS__)
#define log_error(message, ...) LOG_AT(LOG_ERROR, message, ##__VA_ARGS__)

bool log_enabled(enum log_level level);

/* Formats one line (cut at 4 KiB) and hands it to the sink. */
void log_write(enum log_level level, const char *message, const struct log_field *fields, size_t count);

void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
bool log_level_parse(struct text name, enum log_level *ret_level);

/* A sink gets whole lines with their newline, from any thread; NULL: standard error. */
typedef void log_sink(struct text line);

/* What the default sink does: one write(2), or none where the reader has fallen behind. */
void log_to_stderr(struct text line);
void log_set_sink(log_sink *sink);

/* Writes `value` as the inside of a JSON string into `to`: quotes, backslashes, control bytes and malformed UTF-8 escaped. Returns the
 * bytes written, at most `room`; a value that does not fit is cut between characters. */
size_t log_escape_json(struct text value, char *to, size_t room);
