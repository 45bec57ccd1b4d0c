/* The top level of the configuration file: settings of the node, and the maps of objects that other files build. */
#pragma once

#include "proxy/snapshot.h"

/* The top level as it is bound: settings, and trees that wait for their builders. */
struct settings_config {
    struct settings settings;
    const struct node *include, *listeners, *certificates, *services, *routes, *consumers, *groups, *policies;
    int order;
};

extern const struct field settings_fields[];

/* Binds and checks. False: the report says why. */
bool settings_bind(struct binder *binder, const struct node *root, struct settings_config *ret_config);
