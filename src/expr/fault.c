/* Failed evaluations: recorded without formatting, written out at the end. */
#include <stdio.h>

#include "expr/ast.h"
#include "expr/node.h"

void evaluation_init(struct evaluation *evaluation, const struct expr_run *run)
{
    evaluation->run = run;
    evaluation->arena = run->arena;
    evaluation->steps = run->steps_max ? run->steps_max : EXPR_STEPS_DEFAULT;
    evaluation->regexes = REGEX_BUDGET;
    /* The slots stay as they are: no node reads one that was not bound. The fault is read only after a failure. */
}

bool fault_set(struct evaluation *evaluation, const char *said)
{
    evaluation->fault = (struct fault){.said = said, .at = FAULT_HERE};
    return false;
}

bool fault_text(struct evaluation *evaluation, const char *said, struct text detail)
{
    evaluation->fault = (struct fault){.said = said, .detail = detail, .at = FAULT_HERE};
    return false;
}

bool fault_memory(struct evaluation *evaluation)
{
    evaluation->fault =
        (struct fault){.said = "out of memory for the evaluation", .at = FAULT_HERE, .fatal = true};
    return false;
}

bool fault_steps(struct evaluation *evaluation)
{
    evaluation->fault = (struct fault){.said = "too many steps", .at = FAULT_HERE, .fatal = true};
    return false;
}

bool fault_overload(struct evaluation *evaluation, const char *name, const struct value *values, size_t count)
{
    evaluation->fault = (struct fault){.said = "no such overload", .detail = text_of(name), .at = FAULT_HERE};
    for (size_t i = 0; i < count && i < COUNT_OF(evaluation->fault.kinds); i++)
        evaluation->fault.kinds[i] = value_kind_name(values[i]);
    return false;
}

void fault_write(const struct fault *fault, struct text source, struct expr_error *reterr)
{
    enum { DETAIL_MAX = 80 };
    if (!reterr)
        return;
    text_position(source, fault->at == FAULT_HERE ? 0 : fault->at, &reterr->line, &reterr->column);
    size_t room = sizeof reterr->said;
    size_t size = (size_t)snprintf(reterr->said, room, "%s", fault->said);
    if (fault->detail.at && size < room)
        size += (size_t)snprintf(reterr->said + size, room - size, ": '%.*s%s'",
                                 (int)MIN_OF(fault->detail.size, DETAIL_MAX), fault->detail.at,
                                 fault->detail.size > DETAIL_MAX ? "..." : "");
    for (size_t i = 0; i < COUNT_OF(fault->kinds) && fault->kinds[i] && size < room; i++)
        size +=
            (size_t)snprintf(reterr->said + size, room - size, "%s%s", i ? ", " : " for (", fault->kinds[i]);
    if (fault->kinds[0] && size < room)
        snprintf(reterr->said + size, room - size, ")");
}
