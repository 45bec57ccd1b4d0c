/* Compiled expressions: a tree of nodes, each with the function that evaluates it (closure style: no dispatch, no decoding), and the
 * run that walks it. Internal to the room. */
#pragma once

#include "base/check.h"
#include "expr/expr.h"
#include "expr/regex.h"
#include "expr/type.h"

enum {
    SLOTS_MAX = 48,    /* variables of macros that are alive at once */
    ARGUMENTS_MAX = 6, /* of a function */
    ITEMS_USUAL =
        100, /* elements of a list from a request, for cost bounds; texts have less than BYTES_PER_STEP bytes */
    BYTES_PER_STEP = 64 /* what copying or scanning text costs */
};

/* Why an evaluation failed. Made without formatting, as && and || throw it away; expr_eval() writes it out. */
struct fault {
    const char *said;     /* "no such key" */
    struct text detail;   /* quoted behind it, if detail.at is set; alive as long as the arena of the run */
    const char *kinds[3]; /* "(int, string)" behind it: names of kinds, up to a NULL */
    uint32_t at;          /* offset within the source, FAULT_HERE: the node that is being evaluated */
    bool fatal;           /* out of steps or memory: no operator may ignore it */
};
#define FAULT_HERE UINT32_MAX

struct evaluation {
    const struct expr_run *run;
    struct arena *arena;
    uint64_t steps; /* that remain */
    struct regex_budget regexes;
    struct fault fault;
    struct value slots[SLOTS_MAX];
};

/* Each records a failure and returns false. */
bool fault_set(struct evaluation *evaluation, const char *said);
bool fault_text(struct evaluation *evaluation, const char *said, struct text detail);
bool fault_memory(struct evaluation *evaluation);
bool fault_steps(struct evaluation *evaluation);
/* "no such overload", which says the kinds of the values. */
bool fault_overload(struct evaluation *evaluation, const char *name, const struct value *values,
                    size_t count);

/* Takes `steps` from those that remain. */
static inline bool evaluation_charge(struct evaluation *evaluation, uint64_t steps)
{
    if (UNLIKELY(evaluation->steps < steps))
        return fault_steps(evaluation);
    evaluation->steps -= steps;
    return true;
}

static inline bool evaluation_charge_bytes(struct evaluation *evaluation, size_t bytes)
{
    return evaluation_charge(evaluation, bytes / BYTES_PER_STEP);
}

struct node;
struct function;

/* False: the evaluation's fault says why. */
typedef bool node_eval(const struct node *node, struct evaluation *evaluation, struct value *ret_value);

struct node {
    node_eval *eval;
    const struct type *type;
    uint64_t needs; /* bits of the slots that it reads and does not bind itself */
    uint64_t binds; /* bits of the slots that it binds for its items */
    uint64_t steps; /* cost bound, its items included */
    uint64_t own;   /* of them, those that nothing charges as it runs but the round of a loop around it */
    uint64_t round; /* of loops: what one round charges: the own steps of its items */
    uint32_t at;    /* offset within the source */
    uint32_t count;
    bool varies;               /* with the context, or from call to call */
    bool loops;                /* items[1...] run once for each element of items[0] */
    uint8_t slot, slot_second; /* of the variables of a macro */
    union {
        struct value constant;
        struct {
            struct text name;
            uint32_t bits; /* of the kinds that its value may have */
            uint16_t id;
        } attribute;
        struct text name;     /* of a field; why eval_unknown fails, zero-terminated */
        const bool *optional; /* of list and map literals: NULL, none is */
        struct {
            const struct function *const *candidates; /* `candidates_count` of them */
            const void *prepared;
            const char *name;
            uint32_t candidates_count;
        } call;
        struct {
            bool (*holds)(int order);
            const char *sign;
        } comparison;
        const char *sign;
    };
    const struct node *items[];
};

static inline bool node_run(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    return node->eval(node, evaluation, ret_value);
}

/* For nodes that detect a failure themselves: sets the place. */
static inline bool fault_here(struct evaluation *evaluation, const struct node *node)
{
    if (evaluation->fault.at == FAULT_HERE)
        evaluation->fault.at = node->at;
    return false;
}

/* eval_basic.c */
node_eval eval_constant, eval_attribute, eval_slot, eval_now, eval_unknown, eval_conditional, eval_and,
    eval_or, eval_not;
/* eval_access.c */
node_eval eval_select, eval_select_optional, eval_index, eval_index_optional, eval_has, eval_has_attribute,
    eval_in;
/* eval_operator.c */
node_eval eval_equal, eval_unequal, eval_equal_text, eval_unequal_text, eval_compare, eval_add, eval_subtract,
    eval_multiply, eval_divide, eval_modulo, eval_negate, eval_concat;
/* eval_make.c */
node_eval eval_list, eval_map, eval_interpolate;
/* eval_call.c */
node_eval eval_call, eval_or_else, eval_starts_with, eval_ends_with;
/* eval_macro.c */
node_eval eval_all, eval_exists, eval_exists_one, eval_map_macro, eval_filter, eval_bind, eval_transform_list,
    eval_transform_map, eval_transform_entries, eval_sort_by, eval_opt_map, eval_opt_flat_map;

struct expr {
    const struct node *root;
    struct text source;
    enum expr_type wanted;
    uint64_t uses[4]; /* bits of the attribute ids below 256 */
    bool uses_large;  /* an id from 256 on */
};

/* Runs one node with a fresh evaluation. */
void evaluation_init(struct evaluation *evaluation, const struct expr_run *run);
void fault_write(const struct fault *fault, struct text source, struct expr_error *reterr);
