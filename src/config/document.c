/* From a path, or from memory, to one tree: the main file, what it includes, and a report of all that is wrong on the way. */
#include "config/document.h"

#include <errno.h>
#include <glob.h>

#include "base/check.h"
#include "base/error.h"
#include "config/merge_documents.h"
#include "config/reading.h"

enum { INCLUDED_FILES_MAX = 10000 };

static struct text folder_of(struct text path)
{
    size_t slash = text_find_last_char(path, '/');
    return slash == TEXT_NONE ? TEXT("") : text_slice(path, 0, MAX_OF(slash, (size_t)1));
}

/* The tree of a source, which has to be a map. */
static bool parse_map(struct reading *reading, const struct source *source, bool is_main,
                      struct node *ret_root)
{
    struct node root;
    if (!tree_build(reading, source, &root))
        return false;
    if (root.kind == NODE_NULL && !is_main) {
        report_warning(reading->report, (struct place){.source = source}, TEXT(""),
                       "this included file holds nothing");
        root.kind = NODE_MAP;
    }
    if (root.kind == NODE_NULL) {
        report_error(reading->report, (struct place){.source = source}, TEXT(""),
                     "the configuration is empty: it needs at least listeners and routes");
        return false;
    }
    if (root.kind != NODE_MAP) {
        report_error(reading->report, root.place, TEXT(""),
                     "the configuration has to be a map (`key: value` lines), got %s", node_kind_name(&root));
        return false;
    }
    *ret_root = root;
    return true;
}

/* An included file that need not be read. */
static struct part *skipped_part(struct reading *reading, struct text path)
{
    struct part *part = ARENA_NEW(reading->arena, struct part);
    if (!part || !reading_watch(reading, path))
        return NULL;
    part->path = path;
    part->root.kind = NODE_MAP;
    reading->skip->skipped_count++;
    return part;
}

/* Reads and parses a file; NULL: the report says why. */
static struct part *read_part(struct reading *reading, struct text path, struct place named_at)
{
    struct part *part = ARENA_NEW(reading->arena, struct part);
    struct source *source = reading_source(reading, path, folder_of(path), TEXT(""));
    struct error error;
    if (!part || !source || !reading_watch(reading, path))
        return NULL;
    part->path = path;
    part->stamp = file_stamp_of(path);
    if (!reading_file(reading, path, reading->limits.bytes_max, &source->content, &error)) {
        if (named_at.source)
            report_error(reading->report, named_at, TEXT("include"), "%.*s: %s", TEXT_ARGS(path), error.said);
        else
            report_error(reading->report, (struct place){.source = source}, TEXT(""), "%s", error.said);
        return NULL;
    }
    return parse_map(reading, source, !named_at.source, &part->root) ? part : NULL;
}

/* The pattern as glob(3) wants it: relative to the main file's folder, whose own special characters are escaped. */
static struct text full_pattern(struct reading *reading, struct text folder, struct text pattern)
{
    if (text_starts_with(pattern, TEXT("/")) || !folder.size)
        return arena_copy(reading->arena, pattern);
    char *escaped = arena_alloc(reading->arena, 2 * folder.size + 1);
    size_t size = 0;
    for (size_t i = 0; escaped && i < folder.size; i++) {
        if (strchr("*?[\\", folder.at[i]))
            escaped[size++] = '\\';
        escaped[size++] = folder.at[i];
    }
    return escaped ? reading_path(reading, (struct text){escaped, size}, pattern) : TEXT("");
}

/* What to watch for new files: the pattern up to its first part with a special character, which names what to expect in the folder before. */
static struct text watched_pattern(struct reading *reading, struct text folder, struct text pattern)
{
    size_t special = 0;
    while (special < pattern.size && !strchr("*?[", pattern.at[special]))
        special++;
    while (special < pattern.size && pattern.at[special] != '/')
        special++;
    return reading_path(reading, folder, text_slice(pattern, 0, special));
}

/* A folder that is not there holds no files; one that cannot be read may hold some. */
static int stop_at(const char *path, int error)
{
    (void)path;
    return error != ENOENT && error != ENOTDIR;
}

/* Reads the files of one pattern and hangs them behind `*last`. */
static bool include_pattern(struct reading *reading, const struct node *pattern, struct part **last,
                            struct table *seen)
{
    struct text full = full_pattern(reading, pattern->place.source->folder, pattern->text);
    struct text watched = watched_pattern(reading, pattern->place.source->folder, pattern->text);
    glob_t found = {0};
    if (!full.size || !watched.size || !reading_watch(reading, watched))
        return false;
    int result = glob(full.at, 0, stop_at, &found);
    bool included = result == 0 || result == GLOB_NOMATCH;
    if (result == GLOB_NOMATCH)
        report_warning(reading->report, pattern->place, TEXT("include"), "no file matches `%.*s`",
                       TEXT_ARGS(pattern->text));
    else if (result != 0 || found.gl_pathc > INCLUDED_FILES_MAX)
        report_error(reading->report, pattern->place, TEXT("include"),
                     "`%.*s` matches too many files (at most %d) or cannot be read", TEXT_ARGS(pattern->text),
                     INCLUDED_FILES_MAX);
    for (size_t i = 0; result == 0 && i < found.gl_pathc && found.gl_pathc <= INCLUDED_FILES_MAX; i++) {
        struct text path = arena_copy(reading->arena, text_of(found.gl_pathv[i]));
        if (table_get(seen, path))
            continue;
        bool is_noted = path.size && table_put(seen, path, reading);
        bool may_skip = reading->skip && reading->skip->may(reading->skip->context, path);
        struct part *part = !is_noted  ? NULL
                            : may_skip ? skipped_part(reading, path)
                                       : read_part(reading, path, pattern->place);
        included &= part != NULL;
        if (part) {
            (*last)->next = part;
            *last = part;
        }
    }
    globfree(&found);
    return included && found.gl_pathc <= INCLUDED_FILES_MAX;
}

static bool include_all(struct reading *reading, struct part *main)
{
    const struct node *include = node_get(&main->root, TEXT("include"));
    if (!include || include->kind == NODE_NULL)
        return true;
    bool is_list = include->kind == NODE_LIST, included = true;
    struct part *last = main;
    struct table seen;
    table_init(&seen);
    if (!table_put(&seen, main->root.place.source->name, main))
        return false;
    for (uint32_t i = 0; i < (is_list ? include->count : 1); i++) {
        const struct node *pattern = is_list ? &include->items[i] : include;
        if (pattern->kind == NODE_SCALAR && pattern->text.size) {
            included &= include_pattern(reading, pattern, &last, &seen);
            continue;
        }
        report_error(reading->report, pattern->place, TEXT("include"),
                     "wants a path such as \"conf.d/*.yaml\", got %s", node_kind_name(pattern));
        included = false;
    }
    table_release(&seen);
    return included;
}

static bool list_parts(struct reading *reading, const struct part *main, struct document *document)
{
    size_t count = 0;
    for (const struct part *part = main; part; part = part->next)
        count++;
    document->parts = arena_array(reading->arena, count, sizeof *document->parts);
    if (!document->parts)
        return false;
    for (const struct part *part = main; part; part = part->next) {
        const struct source *source = part->root.place.source;
        document->parts[document->parts_count++] = (struct document_part){
            .path = part->path,
            .source = source,
            .stamp = part->stamp,
            .depends_on_itself_alone = part != main && source && !source->has_file_references,
            .only_key = part->root.count == 1 ? part->root.keys[0].text : (struct text){NULL, 0},
        };
    }
    return true;
}

/* Ends a reading: what stopped without a word was want of memory. */
static bool finish(struct reading *reading, bool made, uint32_t errors_before, struct document *document,
                   struct document *ret_document)
{
    document->files = reading->files;
    document->files_count = reading->files_count;
    reading_release(reading);
    bool is_short = reading->arena->failed || reading->report->arena->failed;
    if (made && !is_short) {
        *ret_document = *document;
        return true;
    }
    if (is_short || reading->report->errors == errors_before)
        report_error(reading->report, (struct place){0}, TEXT(""),
                     "out of memory while the configuration was read");
    return false;
}

bool document_read_changed(const char *path, const struct document_limits *limits, struct document_skip *skip,
                           struct arena *arena, struct report *report, struct document *ret_document)
{
    struct reading reading;
    struct document document = {0};
    uint32_t errors_before = report->errors;
    reading_init(&reading, limits, arena, report);
    reading.skip = skip;
    struct part *main = read_part(&reading, text_of(path), (struct place){0});
    bool made = main && include_all(&reading, main);
    made = main && merge_documents(&reading, main, &document.root) && made;
    made = made && list_parts(&reading, main, &document);
    return finish(&reading, made, errors_before, &document, ret_document);
}

bool document_read(const char *path, const struct document_limits *limits, struct arena *arena,
                   struct report *report, struct document *ret_document)
{
    return document_read_changed(path, limits, NULL, arena, report, ret_document);
}

bool document_parse(struct text yaml, struct text name, const struct document_limits *limits,
                    struct arena *arena, struct report *report, struct document *ret_document)
{
    struct reading reading;
    struct document document = {0};
    uint32_t errors_before = report->errors;
    reading_init(&reading, limits, arena, report);
    bool made = false;
    if (yaml.size > reading.limits.bytes_max) {
        report_error(report, (struct place){0}, TEXT(""), "larger than the limit of %zu bytes",
                     reading.limits.bytes_max);
    } else {
        struct text content = arena_copy(arena, yaml);
        struct source *source = reading_source(&reading, name, TEXT(""), content);
        made = source && content.size == yaml.size && parse_map(&reading, source, true, &document.root);
    }
    return finish(&reading, made, errors_before, &document, ret_document);
}

bool document_read_value(const char *path, const struct document_limits *limits, struct arena *arena,
                         struct report *report, struct node *ret_root)
{
    struct reading reading;
    struct error error;
    reading_init(&reading, limits, arena, report);
    struct text full = reading_path(&reading, TEXT(""), text_of(path));
    struct source *source = reading_source(&reading, full, folder_of(full), TEXT(""));
    bool made = source && full.size > 0;
    if (made && !reading_file(&reading, full, reading.limits.bytes_max, &source->content, &error)) {
        report_error(report, (struct place){.source = source}, TEXT(""), "%s", error.said);
        made = false;
    }
    made = made && tree_build(&reading, source, ret_root);
    if (!made && report->errors == 0)
        report_error(report, (struct place){0}, TEXT(""), "out of memory");
    reading_release(&reading);
    return made;
}
