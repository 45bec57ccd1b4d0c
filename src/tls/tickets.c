/* Seals and opens session tickets with keys that rotate, without a lock.
 *
 * Readers use the keys of the newest three epochs; the next one is written into the fourth place before it is published. A reader would have
 * to sleep for a whole period of rotation to see a key change under it. */
#include "tls/tickets.h"

#include <pthread.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/hash.h"
#include "base/time.h"

static EVP_CIPHER *aes;
static pthread_once_t aes_once = PTHREAD_ONCE_INIT;

/* Looked up once: that takes locks. */
static void fetch(void)
{
    aes = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
}

void *tls_tickets_create(void *unused)
{
    (void)unused;
    pthread_once(&aes_once, fetch);
    return aes ? OPENSSL_secure_zalloc(sizeof(struct tls_tickets)) : NULL;
}

void tls_tickets_destroy(void *tickets)
{
    OPENSSL_secure_clear_free(tickets, sizeof(struct tls_tickets));
}

static int64_t now_s(void)
{
    return time_monotonic_ns() / NS_PER_SECOND;
}

static struct ticket_key *key_of(struct tls_tickets *tickets, uint64_t epoch)
{
    return &tickets->keys[epoch % TICKET_KEYS];
}

static bool add_random(struct tls_tickets *tickets, int64_t at_s)
{
    uint64_t next = atomic_load(&tickets->epoch) + 1;
    struct ticket_key *key = key_of(tickets, next);
    if (RAND_bytes((unsigned char *)key, sizeof *key) != 1)
        return false;
    atomic_store(&tickets->rotate_at_s, at_s + tickets->rotate_s);
    atomic_store(&tickets->epoch, next);
    return true;
}

/* Keys whose time had passed long before, since nobody sealed a ticket, are overwritten as well. */
static void rotate_if_due(struct tls_tickets *tickets)
{
    int64_t at_s = now_s(), due_s = atomic_load_explicit(&tickets->rotate_at_s, memory_order_relaxed);
    bool mine = false;
    if (tickets->from_file || at_s < due_s
        || !atomic_compare_exchange_strong(&tickets->rotating, &mine, true))
        return;
    if (at_s >= atomic_load(&tickets->rotate_at_s)) {
        int64_t missed = MIN_OF((at_s - due_s) / MAX_OF(tickets->rotate_s, 1), (int64_t)2);
        for (int64_t i = 0; i <= missed; i++)
            (void)add_random(tickets, at_s); /* without randomness the old key serves on */
    }
    atomic_store(&tickets->rotating, false);
}

/* The keys of a file take the place of all: the one that seals comes last in the order of epochs. */
static void set_file(struct tls_tickets *tickets, struct text keys)
{
    size_t count = MIN_OF(keys.size / TICKET_KEY_BYTES, (size_t)TICKET_KEYS - 1);
    uint64_t epoch = atomic_load(&tickets->epoch);
    for (size_t i = count; i-- > 0;) {
        memcpy(key_of(tickets, ++epoch), keys.at + i * TICKET_KEY_BYTES, TICKET_KEY_BYTES);
        atomic_store(&tickets->epoch, epoch);
    }
}

bool tls_tickets_are_new(const struct tls_tickets *tickets)
{
    return atomic_load(&tickets->epoch) == 0;
}

bool tls_tickets_set(struct tls_tickets *tickets, struct text keys, int64_t rotate_s)
{
    uint64_t hash = keys.size ? hash_bytes(keys.at, keys.size) : 0;
    tickets->rotate_s = rotate_s;
    if (keys.size && hash != tickets->file_hash)
        set_file(tickets, keys);
    bool back_to_random = tickets->from_file && !keys.size;
    tickets->from_file = keys.size > 0;
    tickets->file_hash = hash;
    if (back_to_random || atomic_load(&tickets->epoch) == 0)
        return keys.size > 0 || add_random(tickets, now_s());
    return true;
}

static int start(const struct ticket_key *key, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                 int seal)
{
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->hmac, sizeof key->hmac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_CipherInit_ex2(cipher, aes, key->aes, iv, seal, NULL)
                   && EVP_MAC_CTX_set_params(mac, parameters)
               ? 1
               : -1;
}

int tls_tickets_use(struct tls_tickets *tickets, unsigned char *name, unsigned char *iv,
                    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
    rotate_if_due(tickets);
    uint64_t epoch = atomic_load_explicit(&tickets->epoch, memory_order_acquire);
    if (seal) {
        const struct ticket_key *key = key_of(tickets, epoch);
        memcpy(name, key->name, sizeof key->name);
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(aes)) != 1)
            return -1;
        return start(key, iv, cipher, mac, 1);
    }
    for (uint64_t age = 0; age < TICKET_KEYS - 1 && age < epoch; age++) {
        const struct ticket_key *key = key_of(tickets, epoch - age);
        if (memcmp(name, key->name, sizeof key->name) != 0)
            continue;
        int started = start(key, iv, cipher, mac, 0);
        return started == 1 && age > 0 ? 2 : started;
    }
    return 0;
}
