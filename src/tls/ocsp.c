/* Asks OCSP responders and judges their answers. */
#include "tls/ocsp.h"

#include <time.h>

#include <openssl/err.h>
#include <openssl/http.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "base/memory.h"
#include "base/states.h"

enum { CLOCK_SKEW_S = 300, ANSWER_BYTES_MAX = 64 << 10 };

static X509 *issuer_of(X509 *leaf, STACK_OF(X509) * chain)
{
    for (int i = 0; i < sk_X509_num(chain); i++)
        if (X509_check_issued(sk_X509_value(chain, i), leaf) == X509_V_OK)
            return sk_X509_value(chain, i);
    return NULL;
}

/* --- judging --- */

/* Signed by the issuer, or by whom the issuer appointed: the issuer is all that is trusted. */
static bool is_signed(OCSP_BASICRESP *basic, X509 *issuer, STACK_OF(X509) * chain)
{
    X509_STORE *store = X509_STORE_new();
    bool fine = store && X509_STORE_add_cert(store, issuer)
                && X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN)
                && OCSP_basic_verify(basic, chain, store, 0) == 1;
    X509_STORE_free(store);
    return fine;
}

static const char *judge_times(const ASN1_GENERALIZEDTIME *from, const ASN1_GENERALIZEDTIME *until,
                               int64_t *ret_until_s)
{
    struct tm broken_down;
    if (!until)
        return "the answer does not say until when it holds";
    if (!OCSP_check_validity((ASN1_GENERALIZEDTIME *)(uintptr_t)from,
                             (ASN1_GENERALIZEDTIME *)(uintptr_t)until, CLOCK_SKEW_S, -1))
        return "the answer is out of date";
    *ret_until_s = ASN1_TIME_to_tm(until, &broken_down) ? (int64_t)timegm(&broken_down) : 0;
    return NULL;
}

static const char *judge_basic(OCSP_BASICRESP *basic, X509 *leaf, STACK_OF(X509) * chain,
                               int64_t *ret_until_s)
{
    X509 *issuer = issuer_of(leaf, chain);
    if (!issuer)
        return "the issuer is not in the certificate's chain";
    if (!is_signed(basic, issuer, chain))
        return "the answer is not signed by the certificate's issuer";
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, leaf, issuer);
    int status = -1, reason;
    ASN1_GENERALIZEDTIME *revoked, *from = NULL, *until = NULL;
    bool found = id && OCSP_resp_find_status(basic, id, &status, &reason, &revoked, &from, &until);
    OCSP_CERTID_free(id);
    if (!found)
        return "the answer is about another certificate";
    if (status != V_OCSP_CERTSTATUS_GOOD)
        return status == V_OCSP_CERTSTATUS_REVOKED ? "the certificate is revoked"
                                                   : "the responder does not know the certificate";
    return judge_times(from, until, ret_until_s);
}

bool ocsp_check(struct text der, X509 *leaf, STACK_OF(X509) * chain, int64_t *ret_until_s,
                const char **ret_why)
{
    const unsigned char *at = (const unsigned char *)der.at;
    ERR_clear_error();
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)der.size);
    OCSP_BASICRESP *basic = NULL;
    if (!response)
        *ret_why = "this is no OCSP answer";
    else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        *ret_why = "the responder gave no answer";
    else if (!(basic = OCSP_response_get1_basic(response)))
        *ret_why = "this is no basic OCSP answer";
    else
        *ret_why = judge_basic(basic, leaf, chain, ret_until_s);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return !*ret_why;
}

/* --- asking --- */

bool ocsp_can_fetch(X509 *leaf, STACK_OF(X509) * chain, const char **ret_why)
{
    STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(leaf);
    const char *url = sk_OPENSSL_STRING_num(urls) > 0 ? sk_OPENSSL_STRING_value(urls, 0) : NULL;
    *ret_why = !url                              ? "the certificate names no OCSP responder"
               : strncmp(url, "http://", 7) != 0 ? "the certificate's OCSP responder is not an http:// URL"
               : !issuer_of(leaf, chain)         ? "the issuer's certificate has to follow in the chain"
                                                 : NULL;
    X509_email_free(urls);
    return !*ret_why;
}

static OCSP_REQUEST *make_request(X509 *leaf, X509 *issuer)
{
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, leaf, issuer);
    if (request && id && OCSP_request_add0_id(request, id))
        return request;
    OCSP_CERTID_free(id);
    OCSP_REQUEST_free(request);
    return NULL;
}

/* The answer's bytes; NULL: none came. */
static BIO *ask(const char *url, OCSP_REQUEST *request, int timeout_s)
{
    char *host = NULL, *port = NULL, *path = NULL;
    BIO *body = BIO_new(BIO_s_mem()), *answer = NULL;
    if (body && ASN1_i2d_bio_of(OCSP_REQUEST, i2d_OCSP_REQUEST, body, request)
        && OSSL_HTTP_parse_url(url, NULL, NULL, &host, &port, NULL, &path, NULL, NULL))
        answer = OSSL_HTTP_transfer(NULL, host, port, path, 0, NULL, "", NULL, NULL, NULL, NULL, 0, NULL,
                                    "application/ocsp-request", body, "application/ocsp-response", 1,
                                    ANSWER_BYTES_MAX, timeout_s, 0);
    BIO_free(body);
    OPENSSL_free(host);
    OPENSSL_free(port);
    OPENSSL_free(path);
    return answer;
}

static struct ocsp_answer *keep(BIO *bio, X509 *leaf, STACK_OF(X509) * chain, const char **ret_why)
{
    struct ocsp_answer *answer = memory_alloc(sizeof *answer + ANSWER_BYTES_MAX);
    size_t size = 0, got;
    while (answer && size < ANSWER_BYTES_MAX
           && BIO_read_ex(bio, answer->at + size, ANSWER_BYTES_MAX - size, &got))
        size += got;
    if (!answer)
        *ret_why = "out of memory";
    else if (ocsp_check((struct text){(const char *)answer->at, size}, leaf, chain, &answer->until_s,
                        ret_why)) {
        answer->size = size;
        struct ocsp_answer *smaller = memory_resize(answer, sizeof *answer + size);
        return smaller ? smaller : answer;
    }
    memory_free(answer);
    return NULL;
}

struct ocsp_answer *ocsp_fetch(X509 *leaf, STACK_OF(X509) * chain, int timeout_s, const char **ret_why)
{
    if (!ocsp_can_fetch(leaf, chain, ret_why))
        return NULL;
    STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(leaf);
    OCSP_REQUEST *request = make_request(leaf, issuer_of(leaf, chain));
    BIO *bio = request ? ask(sk_OPENSSL_STRING_value(urls, 0), request, timeout_s) : NULL;
    struct ocsp_answer *answer = NULL;
    *ret_why = "the responder did not answer";
    if (bio)
        answer = keep(bio, leaf, chain, ret_why);
    BIO_free(bio);
    OCSP_REQUEST_free(request);
    X509_email_free(urls);
    ERR_clear_error();
    return answer;
}

/* --- keeping --- */

static void *create(void *unused)
{
    (void)unused;
    return memory_zero(sizeof(struct ocsp_state));
}

static void destroy(void *at)
{
    struct ocsp_state *state = at;
    memory_free((void *)(uintptr_t)atomic_load(&state->answer));
    memory_free(state->before);
    memory_free(state);
}

struct ocsp_state *ocsp_state_claim(struct states *states, struct arena *arena, struct text name,
                                    uint64_t hash)
{
    return states_claim(states, arena, "ocsp", name, hash, create, destroy, NULL);
}

void ocsp_publish(struct ocsp_state *state, struct ocsp_answer *answer)
{
    memory_free(state->before);
    state->before = (struct ocsp_answer *)(uintptr_t)atomic_exchange(&state->answer, answer);
}

unsigned char *ocsp_copy(const struct ocsp_state *state, int64_t now_s, size_t *ret_size)
{
    const struct ocsp_answer *answer = atomic_load(&state->answer);
    if (!answer || answer->until_s <= now_s)
        return NULL;
    *ret_size = answer->size;
    return OPENSSL_memdup(answer->at, answer->size);
}
