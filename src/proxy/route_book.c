/* Which routes stay, come and go with a new document, and who still needs those that went. */
#include "proxy/route_book.h"

#include <string.h>

#include "base/check.h"
#include "base/memory.h"

/* A route as it stands in a file. Enough of its object is here to see that it is the same without touching it. */
struct book_entry {
    uint64_t key_hash, hash;
    struct object *object;
    bool has_files; /* it was made from files too */
};

struct book_file {
    struct text path; /* behind the struct; empty: routes that came without a file */
    struct file_stamp stamp;
    bool may_skip;
    uint32_t edit;   /* the last that met it */
    bool is_skipped; /* by that edit */
    struct book_entry *entries;
    size_t count;
};

/* A file in an edit: which of the edit's entries are its own, and what becomes of its list. */
struct edit_file {
    const struct source
        *source; /* of its nodes, as long as the document is there; NULL: routes without a file */
    struct book_file *file;
    struct file_stamp stamp;
    bool may_skip, is_new;
    bool is_changed; /* some entry differs */
    bool is_in_step; /* every entry has the key that stood at its place before */
    size_t first, count;
    struct book_entry *room; /* for a list of another length */
};

bool route_book_may_skip(const struct route_book *book, struct text path)
{
    const struct book_file *file = table_get(&book->files, path);
    return file && file->may_skip && file_stamp_is_current(&file->stamp);
}

/* --- beginning --- */

static struct book_file *file_new(struct text path)
{
    struct book_file *file = memory_zero(sizeof *file + path.size + 1);
    if (!file)
        return NULL;
    file->path = (struct text){memcpy(file + 1, path.size ? path.at : "", path.size), path.size};
    return file;
}

static void file_free(struct book_file *file)
{
    if (file)
        memory_free(file->entries);
    memory_free(file);
}

static bool add_file(struct route_edit *edit, const struct document_part *part)
{
    struct edit_file *to = &edit->files[edit->files_count];
    struct book_file *known = table_get(&edit->book->files, part->path);
    *to = (struct edit_file){.source = part->source,
                             .file = known ? known : file_new(part->path),
                             .stamp = part->stamp,
                             .may_skip = part->depends_on_itself_alone && part->stamp.is_settled
                                         && text_equal(part->only_key, TEXT("routes")),
                             .is_new = !known,
                             .is_in_step = true};
    if (!to->file)
        return false;
    to->file->edit = edit->id;
    to->file->is_skipped = part->path.size && !part->source;
    edit->files_count++;
    return true;
}

struct route_edit *route_edit_new(struct route_book *book, const struct document *document,
                                  size_t routes_count)
{
    struct route_edit *edit = memory_zero(sizeof *edit);
    if (!edit)
        return NULL;
    *edit = (struct route_edit){.book = book, .id = ++book->edits, .entries_capacity = routes_count};
    edit->entries = memory_array(MAX_OF(routes_count, (size_t)1), sizeof *edit->entries);
    edit->files = memory_array(document->parts_count + 1, sizeof *edit->files);
    static const struct document_part without_a_file = {.path = TEXT_INIT("")};
    bool fine = edit->entries && edit->files;
    for (size_t i = 0; fine && i < document->parts_count; i++)
        fine = add_file(edit, &document->parts[i]);
    fine = fine && add_file(edit, &without_a_file);
    if (fine)
        return edit;
    route_edit_drop(edit);
    return NULL;
}

/* --- route by route --- */

/* The document gives the routes file by file, in the order of its parts. */
static struct edit_file *file_of(struct route_edit *edit, const struct node *key)
{
    for (size_t i = edit->at; i < edit->files_count - 1; i++) {
        if (edit->files[i].source != key->place.source)
            continue;
        if (i != edit->at)
            edit->files[i].first = edit->entries_count;
        edit->at = i;
        return &edit->files[i];
    }
    struct edit_file *none = &edit->files[edit->files_count - 1];
    if (edit->at != edit->files_count - 1)
        none->first = edit->entries_count;
    edit->at = edit->files_count - 1;
    return none;
}

static void append(struct route_edit *edit, struct edit_file *file, struct book_entry entry)
{
    CHECK(edit->entries_count < edit->entries_capacity);
    edit->entries[edit->entries_count++] = entry;
    file->count++;
}

static bool is_current(const struct book_entry *entry, uint64_t hash)
{
    return entry->hash == hash && (!entry->has_files || object_is_current(entry->object, hash));
}

/* Where the same route stood before, the way by name is spared, and its object's memory is not touched. */
static const struct book_entry *entry_before(const struct edit_file *file, const struct node *key)
{
    const struct book_entry *entry =
        file->count < file->file->count ? &file->file->entries[file->count] : NULL;
    return entry && entry->key_hash == key->hash ? entry : NULL;
}

bool route_edit_keep(struct route_edit *edit, const struct node *key, uint64_t hash)
{
    struct edit_file *file = file_of(edit, key);
    const struct book_entry *before = entry_before(file, key);
    edit->before = before ? before->object : NULL;
    if (before && is_current(before, hash)) {
        append(edit, file, *before);
        edit->kept_count++;
        return true;
    }
    file->is_changed = true;
    if (before)
        return false;
    file->is_in_step = false;
    struct object *object = edit->before = table_get(&edit->book->names, key->text);
    if (!object)
        return false;
    edit->is_incomplete |= object->file->edit == edit->id && object->file->is_skipped;
    if (!object_is_current(object, hash))
        return false;
    append(edit, file, (struct book_entry){key->hash, hash, object, object->files != NULL});
    edit->kept_count++;
    return true;
}

static bool add_swap(struct route_edit *edit, struct object *before, struct object *after)
{
    if (edit->swaps_count == edit->swaps_capacity) {
        size_t capacity = edit->swaps_capacity ? 2 * edit->swaps_capacity : 16;
        struct route_swap *swaps = memory_resize(edit->swaps, capacity * sizeof *swaps);
        if (!swaps)
            return false;
        edit->swaps = swaps;
        edit->swaps_capacity = capacity;
    }
    edit->swaps[edit->swaps_count++] = (struct route_swap){before, after};
    return true;
}

bool route_edit_add(struct route_edit *edit, const struct node *key, uint64_t hash, struct object *object)
{
    if (!add_swap(edit, edit->before, object)) {
        object_unref(object);
        return false;
    }
    if (edit->before)
        edit->before->seen = edit->id;
    append(edit, &edit->files[edit->at], (struct book_entry){key->hash, hash, object, object->files != NULL});
    return true;
}

/* --- what is gone, and room for the rest --- */

static bool keeps_its_list(const struct edit_file *file)
{
    return file->is_in_step && file->count == file->file->count;
}

static bool sweep(struct route_edit *edit, const struct book_file *file)
{
    for (size_t i = 0; i < file->count; i++)
        if (file->entries[i].object->seen != edit->id && !add_swap(edit, file->entries[i].object, NULL))
            return false;
    return true;
}

static bool sweep_gone_files(struct route_edit *edit)
{
    size_t cursor = 0;
    for (const struct table_slot *slot; (slot = table_next(&edit->book->files, &cursor));) {
        const struct book_file *file = slot->value;
        if (file->edit != edit->id && !sweep(edit, file))
            return false;
    }
    return true;
}

bool route_edit_finish(struct route_edit *edit)
{
    size_t added = 0, new_files = 0;
    for (size_t i = 0; i < edit->files_count; i++) {
        struct edit_file *file = &edit->files[i];
        new_files += file->is_new;
        if (file->file->is_skipped || keeps_its_list(file))
            continue;
        for (size_t k = 0; k < file->count; k++)
            edit->entries[file->first + k].object->seen = edit->id;
        if (file->count && !(file->room = memory_array(file->count, sizeof *file->room)))
            return false;
    }
    for (size_t i = 0; i < edit->files_count; i++)
        if (!edit->files[i].file->is_skipped && !keeps_its_list(&edit->files[i])
            && !sweep(edit, edit->files[i].file))
            return false;
    if (!sweep_gone_files(edit))
        return false;
    for (size_t i = 0; i < edit->swaps_count; i++)
        added += !edit->swaps[i].before;
    return table_reserve(&edit->book->names, added) && table_reserve(&edit->book->files, new_files);
}

size_t route_edit_count(const struct route_edit *edit)
{
    size_t count = edit->book->names.count;
    for (size_t i = 0; i < edit->swaps_count; i++)
        count += (size_t)(!edit->swaps[i].before - !edit->swaps[i].after);
    return count;
}

const struct object *route_edit_next_with_files(const struct route_edit *edit, size_t *cursor)
{
    while (*cursor < edit->entries_count) {
        const struct book_entry *entry = &edit->entries[(*cursor)++];
        if (entry->has_files)
            return entry->object;
    }
    return NULL;
}

/* --- the commit --- */

static void commit_swaps(struct route_edit *edit, struct route_generation *last)
{
    struct route_book *book = edit->book;
    for (size_t i = 0; i < edit->swaps_count; i++) {
        const struct route_swap *swap = &edit->swaps[i];
        if (swap->before) {
            book->bytes -= object_bytes(swap->before);
            list_push_back(&last->retired, &swap->before->link);
        }
        if (swap->after) {
            book->bytes += object_bytes(swap->after);
            CHECK(table_put(&book->names, swap->after->name, swap->after));
        } else {
            (void)table_remove(&book->names, swap->before->name);
        }
    }
}

static void commit_list(struct route_book *book, struct edit_file *from, const struct book_entry *entries)
{
    struct book_file *file = from->file;
    bool keeps = keeps_its_list(from);
    if (!keeps) {
        memory_free(file->entries);
        book->bytes += (from->count - file->count) * sizeof *entries;
        file->entries = from->room;
        file->count = from->count;
        from->room = NULL;
    }
    for (size_t i = 0; (from->is_changed || !keeps) && i < file->count; i++) {
        file->entries[i] = entries[i];
        if (entries[i].object->file != file)
            entries[i].object->file = file;
    }
}

static void commit_file(struct route_edit *edit, struct edit_file *from)
{
    struct book_file *file = from->file;
    if (!file->is_skipped) {
        commit_list(edit->book, from, edit->entries + from->first);
        file->stamp = from->stamp;
        file->stamp.path = file->path;
        file->may_skip = from->may_skip;
        for (size_t i = 0; file->may_skip && i < file->count; i++)
            file->may_skip = !file->entries[i].has_files;
    }
    if (from->is_new)
        CHECK(table_put(&edit->book->files, file->path, file));
    from->is_new = false;
}

static void drop_gone_files(struct route_edit *edit)
{
    struct route_book *book = edit->book;
    size_t cursor = 0;
    for (const struct table_slot *slot; (slot = table_next(&book->files, &cursor));) {
        struct book_file *file = slot->value;
        if (file->edit == edit->id)
            continue;
        (void)table_remove(&book->files, file->path);
        book->bytes -= file->count * sizeof *file->entries;
        file_free(file);
        cursor--; /* another may have moved to its place */
    }
}

static void edit_free(struct route_edit *edit)
{
    for (size_t i = 0; i < edit->files_count; i++) {
        memory_free(edit->files[i].room);
        if (edit->files[i].is_new)
            file_free(edit->files[i].file);
    }
    memory_free(edit->files);
    memory_free(edit->entries);
    memory_free(edit->swaps);
    memory_free(edit);
}

static struct route_generation *newest(const struct route_book *book)
{
    return CONTAINER_OF(book->generations.next, struct route_generation, link);
}

void route_edit_commit(struct route_edit *edit, struct route_generation *generation)
{
    struct route_book *book = edit->book;
    bool is_first = list_is_empty(&book->generations);
    CHECK(!is_first || book->names.count == 0);
    generation->book = book;
    list_init(&generation->retired);
    commit_swaps(edit, is_first ? generation : newest(book));
    for (size_t i = 0; i < edit->files_count; i++)
        commit_file(edit, &edit->files[i]);
    drop_gone_files(edit);
    list_push_front(&book->generations, &generation->link);
    edit_free(edit);
}

/* --- the end of a generation --- */

void route_book_init(struct route_book *book)
{
    *book = (struct route_book){0};
    list_init(&book->generations);
}

/* The last snapshot is gone: so is what is in force. */
static void empty(struct route_book *book)
{
    size_t cursor = 0;
    for (const struct table_slot *slot; (slot = table_next(&book->names, &cursor));)
        object_unref(slot->value);
    table_release(&book->names);
    cursor = 0;
    for (const struct table_slot *slot; (slot = table_next(&book->files, &cursor));)
        file_free(slot->value);
    table_release(&book->files);
    book->bytes = 0;
}

void route_edit_drop(struct route_edit *edit)
{
    if (!edit)
        return;
    for (size_t i = 0; i < edit->swaps_count; i++)
        object_unref(edit->swaps[i].after);
    struct route_book *book = edit->book;
    edit_free(edit);
    if (list_is_empty(&book->generations))
        empty(book); /* of the room that was made */
}

void route_book_leave(struct route_generation *generation)
{
    struct route_book *book = generation->book;
    bool is_oldest = generation->link.next == &book->generations;
    struct route_generation *older =
        is_oldest ? NULL : CONTAINER_OF(generation->link.next, struct route_generation, link);
    for (struct list *link; (link = list_pop_front(&generation->retired));) {
        if (older)
            list_push_back(&older->retired, link);
        else
            object_unref(CONTAINER_OF(link, struct object, link));
    }
    list_remove(&generation->link);
    if (list_is_empty(&book->generations))
        empty(book);
}
