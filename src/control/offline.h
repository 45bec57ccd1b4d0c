/* Builds a snapshot from a file without serving it: for `check` and `explain`. Runs exactly the code that the gateway runs. */
#pragma once

#include "config/report.h"
#include "proxy/snapshot.h"

struct offline;

/* `*ret_snapshot` is NULL where the configuration is bad: the report says why. NULL: no memory. */
struct offline *offline_build(const char *path, struct report *report, struct snapshot **ret_snapshot);
/* Adds what is doubtful though it is no error, as warnings: routes that can never match, for one. Once. */
void offline_review(struct offline *offline, struct report *report);

void offline_free(struct offline *offline);
