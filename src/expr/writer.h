/* A text that grows in an arena. Failures are kept until the end: writer_text() says whether all fitted. Internal to the room. */
#pragma once

#include "base/arena.h"
#include "base/text.h"

struct writer {
    struct arena *arena;
    char *at;
    size_t size, room;
    bool failed;
};

/* Room for `count` more bytes; false: no memory. */
bool writer_reserve(struct writer *writer, size_t count);

static inline void writer_put(struct writer *writer, struct text t)
{
    if (t.size && (t.size <= writer->room - writer->size || writer_reserve(writer, t.size))) {
        memcpy(writer->at + writer->size, t.at, t.size);
        writer->size += t.size;
    }
}

static inline void writer_char(struct writer *writer, char c)
{
    writer_put(writer, (struct text){&c, 1});
}

#define writer_literal(writer, literal) writer_put((writer), TEXT(literal))

/* False: the arena was full; the text is not whole. */
static inline bool writer_text(const struct writer *writer, struct text *ret_text)
{
    *ret_text = (struct text){writer->at ? writer->at : "", writer->size};
    return !writer->failed;
}
