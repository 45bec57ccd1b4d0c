/* Intrusive doubly linked ring: a `struct list` is a head and also the link inside each member. No allocation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *previous;
};

static inline void list_init(struct list *list)
{
    list->next = list->previous = list;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_insert(struct list *link, struct list *before, struct list *after)
{
    link->previous = before;
    link->next = after;
    before->next = link;
    after->previous = link;
}

static inline void list_push_front(struct list *list, struct list *link)
{
    list_insert(link, list, list->next);
}

static inline void list_push_back(struct list *list, struct list *link)
{
    list_insert(link, list->previous, list);
}

/* Takes a link out of the ring it is in; harmless on a link that was initialised and is in none. */
static inline void list_remove(struct list *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    list_init(link);
}

/* Removes and returns the first, NULL when empty. */
static inline struct list *list_pop_front(struct list *list)
{
    struct list *first = list->next;
    if (first == list)
        return NULL;
    list_remove(first);
    return first;
}

#define LIST_EACH(link, head) for (struct list *link = (head)->next; link != (head); link = link->next)

/* The current link may be removed (and its memory freed) in the body; no other may. */
#define LIST_EACH_SAFE(link, head)                                                                           \
    for (struct list *link = (head)->next, *link##_next = link->next; link != (head);                        \
         link = link##_next, link##_next = link->next)
