/* Where tokens are in a request, and how they are taken out of it. */
#pragma once

#include "http/names.h"
#include "policy/policy.h"

struct jwt_places {
    struct array headers, queries, cookies; /* struct text */
    enum field_name *header_ids;
};

/* Checks the names and fills header_ids. False: reported. */
bool jwt_places_prepare(struct jwt_places *places, struct prepare *prepare);

struct jwt_found {
    struct text token; /* .at NULL: none */
    bool several;      /* that differ */
    bool in_query;
};

/* Authorization counts only with the scheme Bearer (RFC 6750 section 2.1); other fields may have it. */
void jwt_places_find(const struct jwt_places *places, struct exchange *ex, struct jwt_found *found);

/* Keeps tokens in the query out of the log, and with `hide` all tokens from the service. */
void jwt_places_guard(const struct jwt_places *places, struct exchange *ex, const struct jwt_found *found,
                      bool hide);
