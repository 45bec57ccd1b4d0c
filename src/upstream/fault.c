/* Names of faults, and sets of them. */
#include "upstream/fault.h"

#include "base/check.h"
#include "config/field.h"

#define ENTRY "{\"enum\":[\"connect\",\"timeout\",\"closed\",\"invalid\"]}"
const char fault_set_schema[] = "{\"anyOf\":[" ENTRY ",{\"type\":\"array\",\"items\":" ENTRY "}]}";

const char *fault_name(enum fault fault)
{
    switch (fault) {
    case FAULT_NONE: return "none";
    case FAULT_CONNECT: return "connect";
    case FAULT_TIMEOUT: return "timeout";
    case FAULT_CLOSED: return "closed";
    case FAULT_INVALID: return "invalid";
    case FAULTS_COUNT: break;
    }
    UNREACHABLE();
}

bool fault_set_bind(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    static const char *const choices[] = {"connect", "timeout", "closed", "invalid", NULL};
    static const struct field item = ITEM_CHOICE(choices);
    static const struct field list = {.kind = FIELD_KIND_LIST,
                                      .size = sizeof(struct array),
                                      .item = &item,
                                      .flags = FIELD_ONE_OR_MORE | FIELD_UNIQUE};
    struct array chosen = {0};
    unsigned set = 0;
    (void)field;
    if (!field_bind_value(binder, &list, node, &chosen))
        return false;
    for (size_t i = 0; i < chosen.count; i++)
        set |= 1u << (((const int *)chosen.items)[i] + FAULT_CONNECT);
    *(unsigned *)at = set;
    return true;
}
