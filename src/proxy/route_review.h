/* Looks for routes that can never match, and for pairs whose order is decided by nothing but their names: warnings of `turnpike check`.
 *
 * Near-linear in the number of routes: a route is compared with few others, those that can stand before it. So of very many routes with one host
 * and path not each pair is looked at. */
#pragma once

#include "base/table.h"
#include "config/report.h"

/* `names`: of routes to their objects, as built from `routes`, the map of a document. */
void route_review(const struct table *names, const struct node *routes, struct report *report);
