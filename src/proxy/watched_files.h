/* Which files a snapshot was made from: the documents', and those that its objects name. */
#pragma once

#include "proxy/snapshot.h"

/* Fills snapshot->files, for `watch: true`; none are listed without it. False: no memory. */
bool watched_files_collect(struct snapshot *snapshot, const struct document *document);
