/* The list of all policies, from registry.def. */
#include "base/check.h"
#include "policy/policy.h"

#define POLICY(identifier) extern const struct policy policy_##identifier;
#include "policies/registry.def"
#undef POLICY

const struct policy *const policies[] = {
#define POLICY(identifier) &policy_##identifier,
#include "policies/registry.def"
#undef POLICY
};
const size_t policies_count = COUNT_OF(policies);
