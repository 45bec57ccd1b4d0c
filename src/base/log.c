/* Formats log lines as text or JSON. */
#include "base/log.h"

#include <stdatomic.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/time.h"

enum { LINE_SIZE = 4096, FIELD_ROOM = 128 };

static _Atomic int current_level = LOG_INFO;
static _Atomic int current_format = LOG_FORMAT_TEXT;
static _Atomic(log_sink *) current_sink;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&current_level, memory_order_relaxed);
}

void log_set_level(enum log_level level)
{
    atomic_store(&current_level, (int)level);
}

void log_set_format(enum log_format format)
{
    atomic_store(&current_format, (int)format);
}

void log_set_sink(log_sink *sink)
{
    atomic_store(&current_sink, sink);
}

bool log_level_parse(struct text name, enum log_level *ret_level)
{
    for (size_t i = 0; i < COUNT_OF(level_names); i++) {
        if (text_equal(name, text_of(level_names[i]))) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* Bytes of the well-formed UTF-8 character at `at`, 0: malformed. */
static size_t utf8_size(struct text t, size_t at)
{
    for (size_t size = 1; size <= 4 && at + size <= t.size; size++)
        if (text_is_utf8(text_slice(t, at, at + size)))
            return size;
    return 0;
}

/* How one byte or character is written: its size in `*ret_taken`, the text in `scratch` or the original. */
static struct text escape_one(struct text value, size_t at, size_t *ret_taken, char scratch[8])
{
    unsigned char c = (unsigned char)value.at[at];
    *ret_taken = 1;
    if (c == '"' || c == '\\') {
        scratch[0] = '\\';
        scratch[1] = (char)c;
        return (struct text){scratch, 2};
    }
    if (c >= 0x20 && c < 0x7f)
        return text_slice(value, at, at + 1);
    size_t size = c >= 0x80 ? utf8_size(value, at) : 0;
    if (size > 0) {
        *ret_taken = size;
        return text_slice(value, at, at + size);
    }
    if (c >= 0x80)
        return TEXT("\xef\xbf\xbd"); /* U+FFFD */
    return (struct text){scratch, (size_t)snprintf(scratch, 8, "\\u%04x", c)};
}

size_t log_escape_json(struct text value, char *to, size_t room)
{
    size_t written = 0;
    for (size_t at = 0; at < value.size;) {
        char scratch[8];
        size_t taken;
        struct text piece = escape_one(value, at, &taken, scratch);
        if (piece.size > room - written)
            break;
        memcpy(to + written, piece.at, piece.size);
        written += piece.size;
        at += taken;
    }
    return written;
}

struct line {
    char at[LINE_SIZE];
    size_t size;
};

static void add(struct line *line, struct text t)
{
    size_t n = MIN_OF(t.size, LINE_SIZE - 2 - line->size);
    memcpy(line->at + line->size, t.at, n);
    line->size += n;
}

static void add_quoted(struct line *line, struct text t)
{
    add(line, TEXT("\""));
    size_t room = LINE_SIZE - 2 - line->size;
    line->size += log_escape_json(t, line->at + line->size, room > 8 ? room - 8 : 0);
    add(line, TEXT("\""));
}

static void add_value(struct line *line, const struct log_field *field, bool quote_always)
{
    char number[24];
    if (field->kind == LOG_FIELD_INTEGER) {
        add(line, (struct text){number,
                                (size_t)snprintf(number, sizeof number, "%lld", (long long)field->integer)});
        return;
    }
    bool plain = field->text.size > 0 && !quote_always;
    for (size_t i = 0; plain && i < field->text.size; i++)
        plain = field->text.at[i] > ' ' && field->text.at[i] < 0x7f && field->text.at[i] != '"';
    if (plain)
        add(line, field->text);
    else
        add_quoted(line, field->text);
}

/* For the name and a number or an empty value: a field that could not be whole is left out, so that the line stays JSON. */
static bool has_room_for_field(const struct line *line)
{
    return LINE_SIZE - line->size > FIELD_ROOM;
}

static void format_json(struct line *line, struct text when, enum log_level level, const char *message,
                        const struct log_field *fields, size_t count)
{
    add(line, TEXT("{\"time\":\""));
    add(line, when);
    add(line, TEXT("\",\"level\":\""));
    add(line, text_of(level_names[level]));
    add(line, TEXT("\",\"message\":"));
    add_quoted(line, text_of(message));
    for (size_t i = 0; i < count && has_room_for_field(line); i++) {
        add(line, TEXT(","));
        add_quoted(line, text_of(fields[i].name));
        add(line, TEXT(":"));
        add_value(line, &fields[i], true);
    }
    add(line, TEXT("}"));
}

static void format_text(struct line *line, struct text when, enum log_level level, const char *message,
                        const struct log_field *fields, size_t count)
{
    add(line, when);
    add(line, TEXT(" "));
    add(line, text_of(level_names[level]));
    add(line, TEXT(": "));
    add(line, text_of(message));
    for (size_t i = 0; i < count; i++) {
        add(line, TEXT(" "));
        add(line, text_of(fields[i].name));
        add(line, TEXT("="));
        add_value(line, &fields[i], false);
    }
}

/* A reader that has stopped must not stop who logs: a line for which a pipe has no room is dropped. */
void log_to_stderr(struct text line)
{
    struct pollfd stderr_ = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&stderr_, 1, 0) == 0)
        return;
    ssize_t written = write(STDERR_FILENO, line.at,
                            line.size); /* a pipe that takes something takes PIPE_BUF, a whole line */
    (void)written;                      /* a log that cannot be written has nowhere to say so */
}

void log_write(enum log_level level, const char *message, const struct log_field *fields, size_t count)
{
    struct line line = {.size = 0};
    char when[TIME_ISO_SIZE];
    time_write_iso(time_wall_ns(), when);
    if (atomic_load(&current_format) == LOG_FORMAT_JSON)
        format_json(&line, (struct text){when, sizeof when}, level, message, fields, count);
    else
        format_text(&line, (struct text){when, sizeof when}, level, message, fields, count);
    line.at[line.size++] = '\n';
    log_sink *sink = atomic_load(&current_sink);
    if (sink) {
        sink((struct text){line.at, line.size});
        return;
    }
    log_to_stderr((struct text){line.at, line.size});
}
