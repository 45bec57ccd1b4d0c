/* Named, reference-counted state. */
#include "base/states.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/table.h"

struct states {
    struct table by_key;
};

struct claim {
    struct states *states;
    struct text key; /* "kind\nname\nshape" */
    void *state;
    void (*destroy)(void *state);
    unsigned claims;
};

struct states *states_new(void)
{
    return memory_zero(sizeof(struct states));
}

static void destroy(struct claim *claim)
{
    claim->destroy(claim->state);
    memory_free((void *)(uintptr_t)claim->key.at);
    memory_free(claim);
}

void states_free(struct states *states)
{
    if (!states)
        return;
    size_t cursor = 0;
    for (const struct table_slot *slot; (slot = table_next(&states->by_key, &cursor));)
        destroy(slot->value);
    table_release(&states->by_key);
    memory_free(states);
}

static void give_back(void *argument)
{
    struct claim *claim = argument;
    CHECK(claim->claims > 0);
    if (--claim->claims > 0)
        return;
    table_remove(&claim->states->by_key, claim->key);
    destroy(claim);
}

static struct text make_key(const char *kind, struct text name, uint64_t shape)
{
    size_t kind_size = strlen(kind), size = kind_size + name.size + 2 + sizeof shape;
    char *key = memory_alloc(size);
    if (!key)
        return (struct text){NULL, 0};
    memcpy(key, kind, kind_size);
    key[kind_size] = '\n';
    if (name.size)
        memcpy(key + kind_size + 1, name.at, name.size);
    key[kind_size + 1 + name.size] = '\n';
    memcpy(key + kind_size + name.size + 2, &shape, sizeof shape);
    return (struct text){key, size};
}

/* Takes the key over. */
static struct claim *make_claim(struct states *states, struct text key, void *(*create)(void *),
                                void (*destroy_)(void *), void *argument)
{
    struct claim *claim = memory_zero(sizeof *claim);
    void *state = claim ? create(argument) : NULL;
    if (state) {
        *claim = (struct claim){states, key, state, destroy_, 0};
        if (table_put(&states->by_key, key, claim))
            return claim;
        destroy_(state);
    }
    memory_free(claim);
    memory_free((void *)(uintptr_t)key.at);
    return NULL;
}

void *states_claim(struct states *states, struct arena *arena, const char *kind, struct text name,
                   uint64_t shape, void *(*create)(void *argument), void (*destroy_)(void *state),
                   void *argument)
{
    struct text key = make_key(kind, name, shape);
    if (!key.at)
        return NULL;
    struct claim *claim = table_get(&states->by_key, key);
    if (claim)
        memory_free((void *)(uintptr_t)key.at);
    else
        claim = make_claim(states, key, create, destroy_, argument);
    if (!claim)
        return NULL;
    claim->claims++;
    if (arena_defer(arena, give_back, claim))
        return claim->state;
    give_back(claim);
    return NULL;
}
