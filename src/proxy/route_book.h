/* The routes of the configuration in force, by name and by file, so that a change costs what the change costs.
 *
 * Snapshots do not list their routes: they have them through the router. The book, of which there is one, lists the newest's. A build
 * makes an edit of it: which objects come, go and stay. Only the commit changes the book; an edit that is dropped changes nothing.
 *
 * An object that leaves the book may still be used by snapshots that are alive. It waits in the generation of the last snapshot that has
 * it, and is freed when no snapshot of that age or older is left. By then a service that it was built from may be gone, so what a route
 * defers on its arena must not touch other objects.
 *
 * All of it belongs to the control thread. */
#pragma once

#include "base/table.h"
#include "config/document.h"
#include "proxy/object.h"

struct route_book {
    struct table names;      /* to struct object */
    struct table files;      /* path to struct book_file */
    struct list generations; /* newest first; none: the book is empty */
    uint32_t edits;
    size_t bytes; /* of objects and lists */
};

/* Part of a snapshot: what left the book after it. */
struct route_generation {
    struct list link, retired;
    struct route_book *book; /* NULL: not committed */
};

/* An object before and after: NULL, there is none. */
struct route_swap {
    struct object *before, *after;
};

struct route_edit {
    struct route_book *book;
    uint32_t id;
    bool is_incomplete; /* a skipped file would have to be read: its routes clash with others */
    struct route_swap *swaps;
    size_t swaps_count, swaps_capacity, kept_count;
    struct book_entry *entries; /* of all files that were read, in the document's order */
    size_t entries_count, entries_capacity;
    struct edit_file *files; /* as the document's parts, and a last one for routes without a file */
    size_t files_count, at;  /* `at`: the file of the newest entry */
    struct object *before;   /* of the route that was asked for last */
};

void route_book_init(struct route_book *book);

/* True: the included file holds nothing but routes, depends on nothing but itself, and has not changed since the book was written. */
bool route_book_may_skip(const struct route_book *book, struct text path);

/* Begins an edit for a document with `routes_count` routes. NULL: no memory. */
struct route_edit *route_edit_new(struct route_book *book, const struct document *document,
                                  size_t routes_count);

/* For each route of the document, in order: true, the one in the book stays; false, add an object for it. */
bool route_edit_keep(struct route_edit *edit, const struct node *key, uint64_t hash);

/* Takes the object, even when it returns false: no memory. */
bool route_edit_add(struct route_edit *edit, const struct node *key, uint64_t hash, struct object *object);

/* After the last route: finds those that are gone, and makes room, so that the commit cannot fail. False: no memory. */
bool route_edit_finish(struct route_edit *edit);

/* Routes that the configuration has with this edit. */
size_t route_edit_count(const struct route_edit *edit);

/* Walks the routes that were made from files besides the configuration: start with *cursor = 0, NULL at the end. Routes of skipped files are
 * never among them. */
const struct object *route_edit_next_with_files(const struct route_edit *edit, size_t *cursor);

/* Writes the edit into the book, in the name of a new generation, and frees it. */
void route_edit_commit(struct route_edit *edit, struct route_generation *generation);

/* Frees the edit and its new objects. NULL is allowed. */
void route_edit_drop(struct route_edit *edit);

/* A committed snapshot ends. The last one takes the book's contents along. */
void route_book_leave(struct route_generation *generation);
