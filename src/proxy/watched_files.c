/* Collecting the names of files from everything that a snapshot was made of. */
#include "proxy/watched_files.h"

#include "base/check.h"

typedef void visit_file(struct snapshot *snapshot, const struct file_stamp *stamp);

static void visit_object(struct snapshot *snapshot, const struct object *object, visit_file *visit)
{
    for (const struct file_stamp *stamp = object ? object->files : NULL; stamp; stamp = stamp->next)
        visit(snapshot, stamp);
}

static void visit_all(struct snapshot *snapshot, const struct document *document, visit_file *visit)
{
    const struct table *const tables[] = {&snapshot->certificates, &snapshot->listener_objects,
                                          &snapshot->services};
    for (size_t i = 0; i < document->files_count; i++)
        visit(snapshot, &document->files[i]);
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        size_t cursor = 0;
        for (const struct table_slot *slot; (slot = table_next(tables[i], &cursor));)
            visit_object(snapshot, slot->value, visit);
    }
    size_t cursor = 0;
    for (const struct object *route; (route = route_edit_next_with_files(snapshot->route_edit, &cursor));)
        visit_object(snapshot, route, visit);
    visit_object(snapshot, snapshot->gateway_policies, visit);
    visit_object(snapshot, snapshot->consumer_object, visit);
}

static void count_file(struct snapshot *snapshot, const struct file_stamp *stamp)
{
    (void)stamp;
    snapshot->files_count++;
}

static void add_file(struct snapshot *snapshot, const struct file_stamp *stamp)
{
    struct file_stamp *copy = &snapshot->files[snapshot->files_count++];
    *copy = *stamp;
    copy->next = NULL;
    copy->path = arena_copy(&snapshot->arena, stamp->path);
}

bool watched_files_collect(struct snapshot *snapshot, const struct document *document)
{
    if (!snapshot->settings.watch)
        return true;
    visit_all(snapshot, document, count_file);
    snapshot->files = arena_array(&snapshot->arena, snapshot->files_count, sizeof *snapshot->files);
    snapshot->files_count = 0;
    if (!snapshot->files)
        return false;
    visit_all(snapshot, document, add_file);
    return true;
}
