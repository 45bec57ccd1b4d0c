/* From the tree to nodes in one walk: names resolved, types checked, constants folded. Internal to the room. */
#pragma once

#include "expr/ast.h"
#include "expr/node.h"

/* A variable of a macro. */
struct scope {
    const struct scope *outer;
    struct text name;
    uint8_t slot;
    const struct type *type;
};

struct compiler {
    struct source *source;
    struct arena *arena;
    const struct expr_environment *environment;
    const struct scope *scope;
    const struct ast *chain; /* the outermost selection that is being resolved, for hints */
    struct expr *expr;       /* what uses which attributes */
    uint64_t fold_steps;     /* that remain for folding */
    unsigned slots;          /* in use */
};

/* NULL: the source says why. */
struct node *compile(struct compiler *compiler, const struct ast *ast);

/* compile_operator.c, compile_call.c, compile_macro.c: parts of it. A macro that `ast` is not: *ret_is_macro stays false. */
struct node *compile_operator(struct compiler *compiler, const struct ast *ast);
struct node *compile_call(struct compiler *compiler, const struct ast *ast);
struct node *compile_macro(struct compiler *compiler, const struct ast *ast, bool *ret_is_macro);
const char *macro_usage(const struct ast *ast); /* of the macro whose name a call has; NULL: there is none */
struct node *compile_presence(struct compiler *compiler, const struct ast *select); /* has() */

/* A node with room for its items, which start as NULL. NULL: no memory. */
struct node *node_new(struct compiler *compiler, node_eval *eval, size_t at, const struct type *type,
                      uint32_t count);

/* Compiles the items of `ast` from `first` on into a new node's. */
struct node *node_with_items(struct compiler *compiler, node_eval *eval, const struct ast *ast,
                             const struct type *type, uint32_t first);

/* Sums up what the items say and folds those that are constant beside ones that are not. */
struct node *node_finish(struct compiler *compiler, struct node *node);

/* Evaluates a constant node in place. False: it fails, and the source says why (unless types are unchecked). */
bool node_fold(struct compiler *compiler, struct node *node);

/* As expr_compile(), but nothing is folded: tests compare the two. */
const struct expr *expr_compile_unfolded(struct arena *arena, struct text source,
                                         const struct expr_environment *environment, enum expr_type wanted,
                                         struct expr_error *reterr);

/* An error of names or types: fails the source, or in an unchecked environment gives a node that fails when it is reached. */
struct node *compile_fail(struct compiler *compiler, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline bool node_is_constant(const struct node *node)
{
    return node->eval == eval_constant;
}

static inline bool types_are_checked(const struct compiler *compiler)
{
    return !compiler->environment->unchecked;
}

/* "request.path" of a chain of plain selections, cut to the buffer; empty: it is none. */
struct text chain_text(const struct ast *ast, char to[256]);
const struct scope *scope_find(const struct compiler *compiler, struct text name);
