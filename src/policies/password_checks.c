/* See the header. */
#include "policies/password_checks.h"

#include <crypt.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"
#include "proxy/consumer.h"

struct password_checks *password_checks_new(void)
{
    struct password_checks *checks = memory_zero(sizeof *checks);
    if (!checks)
        return NULL;
    atomic_init(&checks->refs, 1);
    random_secret(checks->secret, sizeof checks->secret);
    return checks;
}

struct password_checks *password_checks_ref(struct password_checks *checks)
{
    atomic_fetch_add_explicit(&checks->refs, 1, memory_order_relaxed);
    return checks;
}

void password_checks_unref(struct password_checks *checks)
{
    if (atomic_fetch_sub_explicit(&checks->refs, 1, memory_order_acq_rel) != 1)
        return;
    memory_wipe(checks->secret, sizeof checks->secret);
    memory_free(checks);
}

bool password_proof(const struct password_checks *checks, struct text username, struct text password,
                    struct text hash, struct sha256 *ret_proof)
{
    uint8_t input[sizeof checks->secret + CONSUMER_NAME_MAX + CRYPT_MAX_PASSPHRASE_SIZE + CRYPT_OUTPUT_SIZE
                  + 3 * sizeof(size_t)];
    const struct text parts[] = {username, password, hash};
    if (username.size > CONSUMER_NAME_MAX || password.size > CRYPT_MAX_PASSPHRASE_SIZE
        || hash.size > CRYPT_OUTPUT_SIZE)
        return false;
    memcpy(input, checks->secret, sizeof checks->secret);
    size_t size = sizeof checks->secret;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        memcpy(input + size, &parts[i].size, sizeof(size_t)); /* so that no part can run into the next */
        size += sizeof(size_t);
        if (parts[i].size)
            memcpy(input + size, parts[i].at, parts[i].size);
        size += parts[i].size;
    }
    bool made = sha256_make((struct text){(const char *)input, size}, ret_proof);
    memory_wipe(input, size);
    return made;
}

static struct password_slot *slots_of(struct password_checks *checks, const struct sha256 *proof)
{
    return checks->slots[proof->words[2] % PASSWORD_CACHE_SETS];
}

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static bool is_remembered(const struct password_slot *slot, const struct sha256 *proof)
{
    return load(&slot->proof) == proof->words[0]
           && (load(&slot->check) ^ load(&slot->deadline_ms)) == proof->words[1];
}

bool password_checks_recall(struct password_checks *checks, const struct sha256 *proof, int64_t now_ms)
{
    const struct password_slot *slots = slots_of(checks, proof);
    for (int i = 0; i < PASSWORD_CACHE_WAYS; i++) {
        uint64_t first = load(&slots[i].proof), check = load(&slots[i].check),
                 deadline_ms = load(&slots[i].deadline_ms);
        if (first == proof->words[0] && (check ^ deadline_ms) == proof->words[1]
            && deadline_ms > (uint64_t)now_ms)
            return true;
    }
    return false;
}

void password_checks_remember(struct password_checks *checks, const struct sha256 *proof, int64_t now_ms,
                              int64_t keep_ms)
{
    struct password_slot *slots = slots_of(checks, proof), *chosen = slots;
    for (int i = 0; i < PASSWORD_CACHE_WAYS; i++) {
        if (is_remembered(&slots[i], proof)) {
            chosen = &slots[i];
            break;
        }
        if (load(&slots[i].deadline_ms) < load(&chosen->deadline_ms))
            chosen = &slots[i];
    }
    uint64_t deadline_ms = (uint64_t)(now_ms + keep_ms);
    atomic_store_explicit(&chosen->proof, proof->words[0], memory_order_relaxed);
    atomic_store_explicit(&chosen->check, proof->words[1] ^ deadline_ms, memory_order_relaxed);
    atomic_store_explicit(&chosen->deadline_ms, deadline_ms, memory_order_relaxed);
}

bool password_checks_enter(struct password_checks *checks, unsigned max)
{
    if (atomic_fetch_add_explicit(&checks->waiting, 1, memory_order_relaxed) < max)
        return true;
    password_checks_leave(checks);
    return false;
}

void password_checks_leave(struct password_checks *checks)
{
    unsigned before = atomic_fetch_sub_explicit(&checks->waiting, 1, memory_order_relaxed);
    CHECK(before > 0);
}
