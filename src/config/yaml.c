/* libyaml's events become the tree.
 *
 * Children wait on one stack of nodes until their list or map ends; then they move into an array of their exact size. An alias copies
 * its anchor's node and shares what hangs below, so a bomb of aliases costs nothing; the nodes that it stands for are counted. */
#include <yaml.h>

#include "base/check.h"
#include "base/memory.h"
#include "config/key_index.h"
#include "config/yaml_problem.h"

struct anchor {
    struct node node;
    uint64_t nodes_count; /* of the whole subtree */
    uint32_t height;
};

/* A list or map that has not ended yet. */
struct frame {
    struct node node;
    struct text anchor;
    size_t first; /* of its children on the stack of nodes */
    uint64_t nodes_before;
    uint32_t height;
    bool wants_value; /* map: a key was read */
};

enum { POOL_BYTES = 16384, SHARED_TEXTS = 512, SHARED_BYTES_MAX = 32 };

struct builder {
    struct reading *reading;
    const struct source *source;
    struct node *nodes;
    size_t nodes_count, nodes_capacity;
    struct frame *frames;
    size_t frames_count, frames_capacity;
    struct table anchors;
    char *pool; /* texts, packed */
    size_t pool_left;
    struct {
        uint64_t hash;
        struct text text;
    } shared[SHARED_TEXTS]; /* short texts of late: the same keys come again and again */
    struct node root;
    bool has_root, failed;
};

/* What is wrong does not stop the reading, so that one run finds all of it. */
static void complain(struct builder *b, struct place place, const char *said)
{
    report_error(b->reading->report, place, TEXT(""), "%s", said);
    b->failed = true;
}

static bool refuse(struct builder *b, struct place place, const char *said)
{
    complain(b, place, said);
    return false;
}

static struct text keep_text(struct builder *b, struct text text)
{
    if (text.size >= POOL_BYTES / 8)
        return arena_copy(b->reading->arena, text);
    if (b->pool_left <= text.size) {
        b->pool = arena_alloc(b->reading->arena, POOL_BYTES);
        b->pool_left = b->pool ? POOL_BYTES : 0;
        if (!b->pool)
            return TEXT("");
    }
    char *copy = b->pool;
    if (text.size)
        memcpy(copy, text.at, text.size);
    copy[text.size] = 0;
    b->pool += text.size + 1;
    b->pool_left -= text.size + 1;
    return (struct text){copy, text.size};
}

static struct text share_text(struct builder *b, struct text text, uint64_t hash)
{
    if (text.size > SHARED_BYTES_MAX)
        return keep_text(b, text);
    size_t slot = hash % SHARED_TEXTS;
    if (b->shared[slot].hash == hash && text_equal(b->shared[slot].text, text))
        return b->shared[slot].text;
    b->shared[slot].text = keep_text(b, text);
    b->shared[slot].hash = hash;
    return b->shared[slot].text;
}

/* Room for one more element; false: no memory. */
static bool make_room(void **items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return true;
    size_t larger = *capacity ? *capacity * 2 : 64;
    void *moved = memory_resize(*items, larger * size);
    if (!moved)
        return false;
    *items = moved;
    *capacity = larger;
    return true;
}

static struct frame *top(struct builder *b)
{
    return b->frames_count ? &b->frames[b->frames_count - 1] : NULL;
}

static bool wants_key(struct builder *b)
{
    const struct frame *frame = top(b);
    return frame && frame->node.kind == NODE_MAP && !frame->wants_value;
}

static bool count_nodes(struct builder *b, uint64_t more, struct place place)
{
    uint64_t *count = &b->reading->nodes_count;
    if (__builtin_add_overflow(*count, more, count) || *count > b->reading->limits.nodes_max)
        return refuse(b, place, "the configuration has too many values, counting what aliases stand for");
    return true;
}

/* Hands a finished node to the list or map around it. */
static bool add(struct builder *b, struct node node, uint32_t height)
{
    if (wants_key(b)) {
        if (node.kind == NODE_LIST || node.kind == NODE_MAP) {
            complain(
                b, node.place,
                "a key must be text, not a list or map (put text that starts with `{` or `[` in quotes)");
            node = (struct node){.place = node.place, .quoted = true};
        }
        if (node.secret)
            complain(b, node.place, "a reference cannot be a key");
        node.kind = NODE_SCALAR;
        node.hash = node_hash_key(node.text);
    }
    struct frame *frame = top(b);
    if (!frame) {
        b->root = node;
        b->has_root = true;
        return true;
    }
    frame->wants_value = wants_key(b);
    frame->height = MAX_OF(frame->height, height + 1);
    void *nodes = b->nodes;
    bool made = make_room(&nodes, b->nodes_count, &b->nodes_capacity, sizeof *b->nodes);
    b->nodes = nodes;
    if (made)
        b->nodes[b->nodes_count++] = node;
    return made;
}

static bool remember(struct builder *b, struct text name, struct node node, uint64_t nodes_count,
                     uint32_t height)
{
    if (!name.size)
        return true;
    struct anchor *anchor = ARENA_NEW(b->reading->arena, struct anchor);
    struct text kept = arena_copy(b->reading->arena, name);
    if (!anchor || kept.size != name.size)
        return false;
    *anchor = (struct anchor){node, nodes_count, height};
    return table_put(&b->anchors, kept, anchor);
}

static struct text text_of_yaml(const yaml_char_t *text)
{
    return text ? text_of((const char *)text) : TEXT("");
}

static bool on_scalar(struct builder *b, const yaml_event_t *event)
{
    struct text written = {(const char *)event->data.scalar.value, event->data.scalar.length};
    struct node node = {
        .place = yaml_place(b->source, event->start_mark),
        .kind = NODE_SCALAR,
        .quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE,
        .text = written,
    };
    if (event->data.scalar.tag)
        complain(b, node.place, "tags such as !name are not used here");
    if (written.size && memchr(written.at, 0, written.size))
        complain(b, node.place, "a zero byte in text");
    if (!node.quoted && scalar_is_null(written))
        node.kind = NODE_NULL;
    bool is_key = wants_key(b);
    if (is_key && !node.quoted && !written.size)
        complain(b, node.place, "a key is missing before the `:`");
    if (is_key
        && (text_find(written, TEXT("${env:")) != TEXT_NONE
            || text_find(written, TEXT("${file:")) != TEXT_NONE))
        complain(b, node.place, "a reference cannot be a key");
    node.hash = is_key ? node_hash_key(written) : node_hash_scalar(&node);
    node.text = share_text(b, written, node.hash);
    if (b->reading->arena->failed || !count_nodes(b, 1, node.place))
        return false;
    if (!is_key && text_find(node.text, TEXT("${")) != TEXT_NONE && !reference_resolve(b->reading, &node))
        b->failed = true;
    return remember(b, text_of_yaml(event->data.scalar.anchor), node, 1, 0) && add(b, node, 0);
}

static bool on_alias(struct builder *b, const yaml_event_t *event)
{
    struct place place = yaml_place(b->source, event->start_mark);
    const struct anchor *anchor = table_get(&b->anchors, text_of_yaml(event->data.alias.anchor));
    if (!anchor) {
        complain(b, place,
                 "no anchor of this name stands before (nor may an alias stand within its own anchor)");
        return add(b, (struct node){.place = place, .kind = NODE_NULL}, 0);
    }
    if (b->frames_count + anchor->height > b->reading->limits.depth_max)
        return refuse(b, place, "nested too deeply");
    struct node node = anchor->node;
    node.place = place;
    return count_nodes(b, anchor->nodes_count, place) && add(b, node, anchor->height);
}

static bool on_start(struct builder *b, const yaml_event_t *event, enum node_kind kind)
{
    struct place place = yaml_place(b->source, event->start_mark);
    bool is_map = kind == NODE_MAP;
    if (is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag)
        complain(b, place, "tags such as !name are not used here");
    if (b->frames_count >= b->reading->limits.depth_max)
        return refuse(b, place, "nested too deeply");
    uint64_t nodes_before = b->reading->nodes_count;
    struct text anchor =
        text_of_yaml(is_map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor);
    struct text kept = anchor.size ? arena_copy(b->reading->arena, anchor) : TEXT("");
    void *frames = b->frames;
    bool made = count_nodes(b, 1, place) && kept.size == anchor.size
                && make_room(&frames, b->frames_count, &b->frames_capacity, sizeof *b->frames);
    b->frames = frames;
    if (made)
        b->frames[b->frames_count++] = (struct frame){
            .node = {.place = place, .kind = kind},
            .anchor = kept,
            .first = b->nodes_count,
            .nodes_before = nodes_before,
        };
    return made;
}

static bool check_duplicates(struct builder *b, const struct node *map)
{
    struct key_index index;
    if (!key_index_init(&index, map->count))
        return false;
    for (uint32_t i = 0; i < map->count; i++) {
        const struct node *key = &map->keys[i], *first = key_index_put(&index, key);
        if (!first)
            continue;
        report_error(b->reading->report, key->place, TEXT(""),
                     "the key `%.*s` is here for the second time; the first is on line %u, column %u",
                     (int)MIN_OF(key->text.size, (size_t)100), key->text.at, first->place.line,
                     first->place.column);
        b->failed = true;
    }
    key_index_release(&index);
    return true;
}

/* Moves the children of a list or map from the stack into the arena. */
static bool take_children(struct builder *b, struct node *node, size_t first)
{
    size_t on_stack = b->nodes_count - first;
    bool is_map = node->kind == NODE_MAP;
    b->nodes_count = first;
    node->count = (uint32_t)(is_map ? on_stack / 2 : on_stack);
    if (!node->count)
        return true; /* there may be no stack yet */
    const struct node *from = b->nodes + first;
    node->items = arena_alloc(b->reading->arena, node->count * sizeof *node->items);
    if (!node->items)
        return false;
    if (!is_map) {
        memcpy(node->items, from, node->count * sizeof *from);
        return true;
    }
    node->keys = arena_alloc(b->reading->arena, node->count * sizeof *node->keys);
    if (!node->keys)
        return false;
    for (size_t i = 0; i < node->count; i++) {
        node->keys[i] = from[2 * i];
        node->items[i] = from[2 * i + 1];
    }
    return true;
}

static bool on_end(struct builder *b)
{
    struct frame frame = *top(b);
    struct node node = frame.node;
    if (!take_children(b, &node, frame.first))
        return false;
    b->frames_count--;
    if (node.kind == NODE_MAP) {
        if (!check_duplicates(b, &node))
            return false;
        if (!merge_keys(b->reading, &node))
            b->failed = true;
    }
    node.hash = node_hash_children(&node);
    uint64_t nodes_count = b->reading->nodes_count - frame.nodes_before;
    return remember(b, frame.anchor, node, nodes_count, frame.height) && add(b, node, frame.height);
}

/* False: stop, the report says why or there is no memory. */
static bool on_event(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT: return on_scalar(b, event);
    case YAML_ALIAS_EVENT: return on_alias(b, event);
    case YAML_SEQUENCE_START_EVENT: return on_start(b, event, NODE_LIST);
    case YAML_MAPPING_START_EVENT: return on_start(b, event, NODE_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return on_end(b);
    case YAML_DOCUMENT_START_EVENT:
        if (b->has_root)
            return refuse(b, yaml_place(b->source, event->start_mark),
                          "a second document begins here: a file holds one (`include:` brings in others)");
        return true;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT: return true;
    }
    return true;
}

static bool run(struct builder *b, yaml_parser_t *parser)
{
    for (bool more = true; more;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            yaml_problem_report(b->reading, b->source, parser);
            return false;
        }
        more = event.type != YAML_STREAM_END_EVENT;
        bool going_on = on_event(b, &event);
        yaml_event_delete(&event);
        if (!going_on)
            return false;
    }
    return !b->failed && !b->reading->arena->failed;
}

bool tree_build(struct reading *reading, const struct source *source, struct node *ret_root)
{
    yaml_parser_t parser;
    struct builder *b = memory_zero(sizeof *b);
    if (!b || !yaml_parser_initialize(&parser)) {
        memory_free(b);
        return false;
    }
    b->reading = reading;
    b->source = source;
    b->root = (struct node){.kind = NODE_NULL, .place.source = source};
    struct text content = source->content;
    if (text_starts_with(content, TEXT("\xef\xbb\xbf")))
        content = text_slice(content, 3, content.size);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)content.at, content.size);
    bool built = run(b, &parser);
    if (built)
        *ret_root = b->root;
    yaml_parser_delete(&parser);
    table_release(&b->anchors);
    memory_free(b->frames);
    memory_free(b->nodes);
    memory_free(b);
    return built;
}
