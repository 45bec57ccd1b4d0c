/* What a service's endpoints are made from: what is configured, and what names and files say. Control thread.
 *
 * Lives as long as the service. When a source changes, a new endpoint set is made and put in the old one's place by one pointer; the old
 * one is freed after every worker has passed a turn of its loop, for none keeps a set for longer. */
#pragma once

#include "config/field.h"
#include "upstream/discover.h"

struct service;
struct service_builder;

enum address_family { FAMILY_ANY, FAMILY_IPV4, FAMILY_IPV6 };

struct members_config {
    struct array specs; /* struct endpoint_spec */
    struct text file;   /* empty: none */
    enum address_family family;
    uint32_t endpoints_max;
};

/* Makes the members and the first set of a service that has its name, rules and shared state; freed with `binder->arena`. `node` is the
 * service's. False: the report says why. */
bool members_make(struct binder *binder, const struct service_builder *builder, struct service *service,
                  const struct members_config *config, const struct node *node);
