/* Where a credential may be in a request (header fields, query parameters, cookies), how it is found, and how it is taken out again. */
#pragma once

#include "http/names.h"
#include "policy/policy.h"

/* A policy that takes a key or a token has one in its configuration; its field table fills the arrays. */
struct credential_places {
    struct array headers, queries, cookies; /* struct text */
    bool bearer;                            /* `Authorization: Bearer` as well */
    bool schemes; /* values of `headers` may begin with "Bearer ", and that of Authorization must */
    enum field_name *header_ids; /* filled by credential_places_prepare() */
};

/* Checks the names and fills header_ids. `what` is what is looked for ("key"), `fields` those that can name a place, for the message where none
 * does. False: reported. */
bool credential_places_prepare(struct credential_places *places, struct prepare *prepare, const char *what,
                               const char *fields);

struct credential_found {
    struct text value; /* .at NULL: none; an empty value is none */
    bool several;      /* that differ */
    bool in_query;
};

void credential_places_find(const struct credential_places *places, struct exchange *ex,
                            struct credential_found *found);

/* Keeps what was found in the query out of the log, and with `hide` takes all of it away from what goes to the service. */
void credential_places_guard(const struct credential_places *places, struct exchange *ex,
                             const struct credential_found *found, bool hide);
