/* Open addressing with linear probing and backward-shift deletion. */
#include "base/table.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"

enum { CAPACITY_MIN = 8 };

void table_init(struct table *table)
{
    *table = (struct table){0};
}

void table_release(struct table *table)
{
    memory_free(table->slots);
    table_init(table);
}

/* The slot that holds `key`, or the free one where it would go; capacity > count. */
static struct table_slot *find(const struct table *table, struct text key, size_t hash)
{
    size_t mask = table->capacity - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
        struct table_slot *slot = &table->slots[at];
        if (!slot->value || (slot->hash == hash && text_equal(slot->key, key)))
            return slot;
    }
}

void *table_get(const struct table *table, struct text key)
{
    return table->count ? find(table, key, hash_text(key))->value : NULL;
}

static bool has_room(size_t capacity, size_t count)
{
    return count <= capacity / 4 * 3;
}

bool table_reserve(struct table *table, size_t more)
{
    size_t capacity = table->capacity ? table->capacity : CAPACITY_MIN;
    while (!has_room(capacity, table->count + more))
        capacity *= 2;
    if (capacity == table->capacity)
        return true;
    struct table larger = {.count = table->count, .capacity = capacity};
    larger.slots = memory_array(larger.capacity, sizeof *larger.slots);
    if (!larger.slots)
        return false;
    for (size_t i = 0; i < table->capacity; i++)
        if (table->slots[i].value)
            *find(&larger, table->slots[i].key, table->slots[i].hash) = table->slots[i];
    memory_free(table->slots);
    *table = larger;
    return true;
}

bool table_put(struct table *table, struct text key, void *value)
{
    CHECK(value);
    if (!table_reserve(table, 1))
        return false;
    size_t hash = hash_text(key);
    struct table_slot *slot = find(table, key, hash);
    table->count += !slot->value;
    *slot = (struct table_slot){key, value, hash};
    return true;
}

void *table_remove(struct table *table, struct text key)
{
    if (!table->count)
        return NULL;
    struct table_slot *hole = find(table, key, hash_text(key));
    void *value = hole->value;
    if (!value)
        return NULL;
    size_t mask = table->capacity - 1, at = (size_t)(hole - table->slots);
    for (size_t next = (at + 1) & mask; table->slots[next].value; next = (next + 1) & mask) {
        size_t home = table->slots[next].hash & mask;
        if (((next - home) & mask) >= ((next - at) & mask)) { /* may move back into the hole */
            table->slots[at] = table->slots[next];
            at = next;
        }
    }
    table->slots[at].value = NULL;
    table->count--;
    return value;
}

const struct table_slot *table_next(const struct table *table, size_t *cursor)
{
    while (*cursor < table->capacity) {
        const struct table_slot *slot = &table->slots[(*cursor)++];
        if (slot->value)
            return slot;
    }
    return NULL;
}
