/* What the kinds of sources share (room-private). */
#pragma once

#include "base/list.h"
#include "base/table.h"
#include "upstream/discover.h"

struct discovery {
    struct loop *loop;
    struct resolver *resolver;
    struct discovery_options options;
    struct list sources;
    struct table by_key;
};

/* A kind of source. Its struct begins with `struct source`. */
struct source_type {
    const char *name;
    size_t size;
    void (*start)(struct source *source); /* once */
    void (*stop)(struct source *source);  /* nothing is under way after it, and what it has is freed */
};

extern const struct source_type source_dns, source_srv, source_file;

/* For the kinds: notes a good answer and tells the users if it changed what was found; or a failure, with its reason. Both say when the
 * next question is due: `ttl_ms` below 0 is unknown. */
int64_t source_answered(struct source *source, bool changed, int64_t ttl_ms);
int64_t source_failed(struct source *source, const char *reason, int64_t ttl_ms);

/* What users see has changed. */
void source_changed(struct source *source);
