/* Which of several services a request goes to. */
#pragma once

#include "proxy/route.h"

struct exchange;

/* NULL: the expression failed, or gave the name of none of the services: *reterr says what. Texts are made in the exchange's arena. */
const struct route_target *route_choose(const struct route_choice *choice, struct exchange *ex,
                                        struct expr_error *reterr);
