/* Keys of tokens as they are configured. */
#pragma once

#include "policies/jwt_key.h"
#include "policy/policy.h"

struct jwt_key_config {
    int algorithm, encoding;
    struct text secret, key, kid;
};
extern const struct field jwt_key_item;

/* Builds `*ret_keys` from `keys` (struct jwt_key_config) and `jwks` (a path or the set itself; .at NULL: none). The secrets in `keys` are
 * overwritten. False: reported. */
bool jwt_keys_prepare(struct prepare *prepare, const struct array *keys, struct text jwks,
                      struct jwt_keys *ret_keys);
