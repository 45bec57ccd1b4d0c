/* Endpoints in a file of their own: a list in YAML or JSON, as under `endpoints` of a service; or a map with that list under `endpoints`.
 *
 * The file is looked at every so often rather than watched: that works on every kind of file system, and for files that are replaced behind a
 * chain of links, as Kubernetes does. A file that is not there, cannot be read or has an error changes nothing. */
#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "config/document.h"
#include "config/field.h"
#include "upstream/discover_private.h"
#include "upstream/endpoint_spec.h"
#include "upstream/endpoint_target.h"

enum { FILE_BYTES_MAX = 32 << 20, FILE_NODES_MAX = 1000000, SPECS_MAX = 65535 };

struct file_source {
    struct source source;
    struct timer timer;
    struct file_stamp stamp;
    uint64_t hash; /* of what it held */
    struct arena arena;
};

static const struct field specs_field = {.name = "endpoints",
                                         .kind = FIELD_KIND_LIST,
                                         .item = &endpoint_spec_item,
                                         .flags = FIELD_NOT_EMPTY,
                                         .max = SPECS_MAX,
                                         .size = sizeof(struct array)};

static bool check_urls(struct binder *binder, const struct array *specs, const struct node *list)
{
    const struct endpoint_spec *spec = specs->items;
    bool fine = true;
    for (size_t i = 0; i < specs->count; i++) {
        struct endpoint_target target;
        struct error error;
        if (!endpoint_target_parse(spec[i].url, &target, &error))
            fine =
                bind_error(binder, &list->items[i], NULL, "`%.*s`: %s", TEXT_ARGS(spec[i].url), error.said);
    }
    return fine;
}

/* Reads the file into `arena`. False: the report says why. */
static bool read_specs(const struct file_source *self, struct arena *arena, struct report *report,
                       struct array *ret_specs, uint64_t *ret_hash)
{
    static const struct document_limits limits = {.bytes_max = FILE_BYTES_MAX, .nodes_max = FILE_NODES_MAX};
    struct binder binder = {.arena = arena, .report = report};
    struct node root;
    if (!document_read_value(self->source.name.at, &limits, report->arena, report, &root))
        return false;
    const struct node *list = root.kind == NODE_MAP ? node_get(&root, TEXT("endpoints")) : &root;
    if (!list || list->kind != NODE_LIST) {
        report_error(report, root.place, TEXT(""),
                     "wants a list of endpoints, or a map with one under `endpoints`");
        return false;
    }
    *ret_hash = root.hash;
    return field_bind_value(&binder, &specs_field, list, ret_specs) && check_urls(&binder, ret_specs, list);
}

static void say_why(const struct report *report, char to[SOURCE_REASON_SIZE])
{
    const struct finding *first = report->first;
    while (first && first->severity != SEVERITY_ERROR)
        first = first->next;
    struct text place = first ? place_show(first->place, report->arena) : TEXT("");
    snprintf(to, SOURCE_REASON_SIZE, "%.*s%s%.*s%s%.*s", TEXT_ARGS(place), place.size ? ": " : "",
             first ? (int)first->path.size : 0, first ? first->path.at : "",
             first && first->path.size ? ": " : "", first ? (int)first->said.size : 13,
             first ? first->said.at : "out of memory");
}

/* The old texts go: users have been told, or will be, and name nothing of them until they have looked again. */
static bool take(struct file_source *self, struct arena *arena, const struct array *specs, uint64_t hash)
{
    bool changed = hash != self->hash || self->source.answers == 0;
    if (changed) {
        arena_release(&self->arena);
        self->arena = *arena;
        self->source.specs = specs->items;
        self->source.specs_count = (uint32_t)specs->count;
        self->hash = hash;
    } else {
        arena_release(arena);
    }
    return changed;
}

static void read_file(struct file_source *self)
{
    struct arena arena, scratch;
    struct report report;
    struct array specs = {0};
    uint64_t hash = 0;
    char reason[SOURCE_REASON_SIZE];
    arena_init(&arena, 0, 0);
    arena_init(&scratch, 0, 0);
    report_init(&report, &scratch);
    self->stamp = file_stamp_of(self->source.name);
    if (read_specs(self, &arena, &report, &specs, &hash) && !arena.failed) {
        (void)source_answered(&self->source, take(self, &arena, &specs, hash), -1);
    } else {
        arena_release(&arena);
        say_why(&report, reason);
        (void)source_failed(&self->source, reason, -1);
    }
    arena_release(&scratch);
}

static void look(struct timer *timer)
{
    struct file_source *self = CONTAINER_OF(timer, struct file_source, timer);
    struct discovery *discovery = self->source.discovery;
    if (!self->stamp.is_settled || !file_stamp_is_current(&self->stamp))
        read_file(self);
    self->source.next_ms = discovery->loop->now_ms + discovery->options.file_ms;
    timer_set(discovery->loop, timer, self->source.next_ms);
}

static void start(struct source *source)
{
    struct file_source *self = CONTAINER_OF(source, struct file_source, source);
    arena_init(&self->arena, 0, 0);
    self->timer.on_due = look;
    look(&self->timer);
}

static void stop(struct source *source)
{
    struct file_source *self = CONTAINER_OF(source, struct file_source, source);
    timer_clear(source->discovery->loop, &self->timer);
    arena_release(&self->arena);
}

const struct source_type source_file = {"file", sizeof(struct file_source), start, stop};
