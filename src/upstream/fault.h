/* What may go wrong at an endpoint, as `errors` of a service's rules lists it. */
#pragma once

#include <stdbool.h>

enum fault {
    FAULT_NONE,
    FAULT_CONNECT, /* the connection was refused, or not made in time */
    FAULT_TIMEOUT, /* no answer in time, or it stopped in the middle */
    FAULT_CLOSED,  /* closed before the end of an answer */
    FAULT_INVALID, /* an answer that breaks HTTP or a limit */
    FAULTS_COUNT
};
const char *fault_name(enum fault fault);

struct binder;
struct field;
struct node;

/* Custom binder of an `unsigned` with a bit for each fault, from one word or a list. */
bool fault_set_bind(struct binder *binder, const struct field *field, const struct node *node, void *at);
extern const char fault_set_schema[];
#define FAULT_SET_ALL "[connect, timeout, closed, invalid]"
