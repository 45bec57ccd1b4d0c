/* basic-auth: a user name and a password in each request (RFC 7617), verified on the thread pool.
 *
 * What a caller can measure does not tell whether a user exists: for an unknown one a hash of the same cost is verified. */
#include <crypt.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/states.h"
#include "expr/base64.h"
#include "policies/identity.h"
#include "policies/password_checks.h"
#include "proxy/exchange.h"

enum {
    CREDENTIALS_MAX = CONSUMER_NAME_MAX + 1 + CRYPT_MAX_PASSPHRASE_SIZE, /* bytes of "name:password" */
    CHECK_TIMEOUT_MS = 10 * 1000,
};

struct basic_auth_config {
    struct text realm, anonymous;
    bool hide;
    int64_t cache_ms, waiting_max;
    struct text challenge;
    struct password_checks *checks;
};

/* One verification: owned by the operation, read by the pool's thread. */
struct password_check {
    struct password_checks *checks;
    const struct consumer *consumer; /* NULL: unknown, the result does not count; not for the pool's thread */
    struct sha256 proof;
    bool right, failed;
    bool entered; /* it counts among those that wait or run */
    char password[CRYPT_MAX_PASSPHRASE_SIZE + 1];
    char hash[CRYPT_OUTPUT_SIZE];
    struct crypt_data crypt;
};

struct basic_auth_state {
    struct await_work work;
    struct password_check *check;
};

static const struct field basic_auth_fields[] = {
    FIELD_TEXT(struct basic_auth_config, realm, "realm", "api",
               "The realm in `WWW-Authenticate`; browsers show it to the user."),
    FIELD_BOOL(struct basic_auth_config, hide, "hide", "true",
               "Removes `Authorization` from what goes to the service."),
    FIELD_TEXT(
        struct basic_auth_config, anonymous, "anonymous", OPTIONAL,
        "Consumer that a request without user name and password belongs to. Without it such a request is refused."),
    FIELD_DURATION(
        struct basic_auth_config, cache_ms, "cache", "60s", 0, 3600 * 1000,
        "How long a password that was right is remembered, so that it is not hashed for each request. 0 turns that off."),
    FIELD_INTEGER(
        struct basic_auth_config, waiting_max, "waiting", "64", 1, 10000,
        "Password checks of the process that may be under way at once; beyond that the answer is 503."),
    FIELD_END,
};

static void *make_checks(void *argument)
{
    (void)argument;
    return password_checks_new();
}

static void drop_checks(void *checks)
{
    password_checks_unref(checks);
}

static bool basic_auth_prepare(struct prepare *prepare, void *config_)
{
    struct basic_auth_config *config = config_;
    struct arena *arena = prepare->binder->arena;
    if (!identity_check_realm(prepare, config->realm))
        return false;
    config->challenge =
        arena_format(arena, "Basic realm=\"%.*s\", charset=\"UTF-8\"", TEXT_ARGS(config->realm));
    config->checks = states_claim(prepare->states, arena, "basic-auth", TEXT("checks"),
                                  sizeof(struct password_checks), make_checks, drop_checks, NULL);
    return config->checks || bind_error(prepare->binder, prepare->node, NULL, "out of memory");
}

/* --- the credential --- */

struct basic_credential {
    char bytes[CREDENTIALS_MAX];
    struct text username, password;
};

static bool has_control(struct text t)
{
    for (size_t i = 0; i < t.size; i++)
        if ((unsigned char)t.at[i] < 0x20 || t.at[i] == 0x7f)
            return true;
    return false;
}

/* RFC 7617 section 2: no control characters, and the first colon ends the name. */
static bool parse_credential(struct text value, struct basic_credential *credential)
{
    struct text encoded = text_trim(text_slice(value, 6, value.size));
    size_t size;
    if (encoded.size / 4 * 3 + 2 > sizeof credential->bytes
        || !base64_read(encoded, BASE64_STANDARD, credential->bytes, &size))
        return false;
    struct text all = {credential->bytes, size};
    size_t colon = text_find_char(all, ':');
    if (colon == TEXT_NONE || has_control(all))
        return false;
    credential->username = text_slice(all, 0, colon);
    credential->password = text_slice(all, colon + 1, size);
    return colon > 0 && colon <= CONSUMER_NAME_MAX && credential->password.size < CRYPT_MAX_PASSPHRASE_SIZE;
}

static bool is_basic(struct text value)
{
    return text_starts_with_nocase(value, TEXT("Basic "));
}

/* Counts the Basic fields; the first is given. */
static unsigned find_field(struct exchange *ex, struct text *ret_value)
{
    unsigned count = 0;
    if (!fields_may_hold(&ex->request.fields, NAME_AUTHORIZATION))
        return 0;
    FIELDS_EACH (line, &ex->request.fields)
        if (line->id == NAME_AUTHORIZATION && is_basic(line->value) && count++ == 0)
            *ret_value = line->value;
    return count;
}

static void hide_field(struct exchange *ex)
{
    FIELDS_EACH (line, &ex->request.fields)
        if (line->id == NAME_AUTHORIZATION && is_basic(line->value))
            line->removed = true;
}

/* --- the check, on a thread of the pool --- */

static void run_check(void *data)
{
    struct password_check *check = data;
    const char *made = crypt_r(check->password, check->hash, &check->crypt);
    check->failed = !made || made[0] == '*';
    check->right = !check->failed && text_equal_constant_time(text_of(made), text_of(check->hash));
    memory_wipe(check->password, sizeof check->password);
    memory_wipe(&check->crypt, sizeof check->crypt);
    check->entered = false; /* the exchange may live much longer than its check */
    password_checks_leave(check->checks);
}

static void release_check(void *data)
{
    struct password_check *check = data;
    if (check->entered)
        password_checks_leave(check->checks);
    password_checks_unref(check->checks);
    memory_wipe(check, sizeof *check);
    memory_free(check);
}

/* NULL: no memory. The caller has entered already. */
static struct password_check *make_check(struct password_checks *checks, const struct consumer *consumer,
                                         struct text password, struct text hash)
{
    struct password_check *check = memory_zero(sizeof *check);
    if (!check)
        return NULL;
    check->checks = password_checks_ref(checks);
    check->entered = true;
    check->consumer = consumer;
    if (password.size)
        memcpy(check->password, password.at, password.size);
    memcpy(check->hash, hash.at, hash.size);
    return check;
}

/* --- the policy --- */

static enum verdict admit(struct exchange *ex, const struct basic_auth_config *config,
                          const struct consumer *consumer)
{
    if (config->hide)
        hide_field(ex);
    exchange_identify(ex, consumer, TEXT("basic-auth"));
    return VERDICT_NEXT;
}

static enum verdict refuse(struct exchange *ex, const struct basic_auth_config *config)
{
    return identity_refuse(ex, config->challenge, TEXT("The user name or the password is not valid."));
}

/* Who floods the gateway with passwords must not get past it by that: never a fault, which `on_error: allow` would let pass. */
static enum verdict refuse_busy(struct exchange *ex)
{
    enum verdict verdict =
        exchange_respond_problem(ex, 503, TEXT("Too many passwords are being checked. Try again later."));
    (void)fields_add_known(&ex->response.fields, NAME_RETRY_AFTER,
                           TEXT("1")); /* without memory the arena says so */
    return verdict;
}

static policy_step basic_auth_checked;

static enum verdict begin_check(struct exchange *ex, const struct basic_auth_config *config,
                                struct basic_auth_state *state, const struct consumer *consumer,
                                const struct basic_credential *credential)
{
    struct sha256 proof = {.words = {0}};
    struct text hash =
        consumer ? consumer->more->password : consumer_set_decoy_password(exchange_consumers(ex));
    if (!hash.at)
        return refuse(ex, config); /* nobody has a password, so there is nothing to find out */
    bool proven = password_proof(config->checks, credential->username, credential->password, hash, &proof);
    if (consumer && proven && password_checks_recall(config->checks, &proof, ex->loop->now_ms))
        return admit(ex, config, consumer);
    if (!password_checks_enter(config->checks, (unsigned)config->waiting_max))
        return refuse_busy(ex);
    state->check = make_check(config->checks, consumer, credential->password, hash);
    if (!state->check) {
        password_checks_leave(config->checks);
        return exchange_fault(ex, "no memory for a password check");
    }
    state->check->proof = proof;
    state->work.work = run_check;
    state->work.data = state->check;
    state->work.release = release_check;
    return await_work(ex, &state->work, CHECK_TIMEOUT_MS, STEP(basic_auth_checked));
}

static enum verdict basic_auth_request(struct exchange *ex, const void *config_, void *state_)
{
    const struct basic_auth_config *config = config_;
    struct basic_credential credential;
    struct text value = {NULL, 0};
    unsigned count = find_field(ex, &value);
    if (count == 0)
        return identity_missing(ex, config->anonymous, config->challenge,
                                TEXT("The request holds no user name and password."));
    if (count > 1 || !parse_credential(value, &credential))
        return identity_refuse(ex, config->challenge, TEXT("The Authorization field is malformed."));
    const struct consumer *consumer = consumer_set_find_username(exchange_consumers(ex), credential.username);
    enum verdict verdict = begin_check(ex, config, state_, consumer, &credential);
    memory_wipe(&credential, sizeof credential);
    return verdict;
}

static enum verdict basic_auth_checked(struct exchange *ex, const void *config_, void *state_)
{
    const struct basic_auth_config *config = config_;
    struct basic_auth_state *state = state_;
    if (state->work.operation.status != AWAIT_DONE)
        return refuse_busy(ex);
    const struct password_check *check = state->check;
    if (!check->consumer || (!check->right && !check->failed))
        return refuse(ex, config);
    if (check->failed)
        return exchange_fault(ex, "crypt(3) could not use the password's hash");
    if (config->cache_ms)
        password_checks_remember(config->checks, &check->proof, ex->loop->now_ms, config->cache_ms);
    return admit(ex, config, check->consumer);
}

static const char basic_auth_manual[] =
    "Tells who calls by a user name and a password (RFC 7617). Use it for people with a browser or `curl` and for old programs that know\n"
    "nothing else; `key-auth` and `jwt` cost less.\n"
    "\n"
    "```yaml\n"
    "listeners:\n"
    "  main: { address: \"127.0.0.1:8080\" }\n"
    "services:\n"
    "  reports: { endpoints: [\"http://127.0.0.1:7001\"] }\n"
    "routes:\n"
    "  reports:\n"
    "    match: { path: \"/reports/*\" }\n"
    "    service: reports\n"
    "    policies:\n"
    "      - basic-auth: { realm: reports }\n"
    "consumers:\n"
    "  alice:                  # the password is `correct horse`, hashed by `openssl passwd -6`\n"
    "    password: \"$6$turnpike$.VZfecrNDnE6U2yut0JEWcbfytLv1giqWGzHBJIH83wK8LD9XnnncAPpJImFAolJ58yq6DW2mng.HUi91ANE70\"\n"
    "```\n"
    "\n"
    "`password` of a consumer holds a hash, never the password: bcrypt (`$2b$`), yescrypt (`$y$`) or SHA-crypt (`$6$`, `$5$`), as `mkpasswd` and\n"
    "`openssl passwd -6` make them. The user name is the consumer's name, or its `username`.\n"
    "\n"
    "Hashing takes milliseconds on purpose. It is done on threads beside the workers, and a password that was right is remembered for\n"
    "`cache`, so that a caller who sends it with each request pays once. At most `waiting` checks are under way in the process; beyond\n"
    "that, or when a check takes longer than 10 s, the answer is 503 with `Retry-After`, whatever `on_error` says.\n"
    "\n"
    "A request without user name and password gets 401 with a challenge, which makes a browser ask; with `anonymous` it goes on as that\n"
    "consumer instead, unless another policy has identified the caller before. A wrong password is refused all the same.\n"
    "\n"
    "**Security.** The policy trusts nothing in the request but the password. Passwords are sent with every request and are only encoded: use TLS. An unknown\n"
    "user name costs as much time as a wrong password, if all consumers have hashes of the same kind. Guessing is slowed down by the\n"
    "cost of the hash alone: put a `rate-limit` in front of it (`stage: edge`).\n";

const struct policy policy_basic_auth = {
    .name = "basic-auth",
    .summary = "Identifies the consumer by a user name and a password.",
    .manual = basic_auth_manual,
    .stage = STAGE_IDENTITY,
    .status = POLICY_STABLE,
    .fields = basic_auth_fields,
    .config_size = sizeof(struct basic_auth_config),
    .state_size = sizeof(struct basic_auth_state),
    .prepare = basic_auth_prepare,
    .on_request = basic_auth_request,
};
