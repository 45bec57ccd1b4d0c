/* Reads certificates and keys, and says what is wrong with them. */
#include "tls/certificate.h"

#include <time.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "tls/library.h"
#include "tls/ocsp.h"
#include "tls/pem.h"

enum { NAMES_MAX = 1000, DAY_S = 24 * 3600, STAPLE_BYTES_MAX = 64 << 10 };

struct certificate_config {
    const struct node *certificate, *key, *passphrase;
    struct ocsp_config {
        struct text file;
        bool fetch;
    } ocsp;
};

static const struct field ocsp_fields[] = {
    FIELD_TEXT(struct ocsp_config, file, "file", OPTIONAL,
               "File with an OCSP answer (DER) to be stapled; read anew on reload."),
    FIELD_BOOL(struct ocsp_config, fetch, "fetch", "false",
               "Ask the responder that the certificate names, and keep the answer fresh."),
    FIELD_END,
};

const struct field certificate_fields[] = {
    FIELD_NODE(
        struct certificate_config, certificate, "certificate", REQUIRED, "{\"type\":\"string\"}",
        "The certificate and then its chain, in PEM: a path, the text, or `${file:PATH}`. Read anew on reload."),
    FIELD_NODE(struct certificate_config, key, "key", REQUIRED, "{\"type\":\"string\"}",
               "Its private key in PEM: a path, or a reference such as `${file:PATH}`. Read anew on reload."),
    FIELD_NODE(struct certificate_config, passphrase, "passphrase", OPTIONAL, "{\"type\":\"string\"}",
               "Of an encrypted key; a reference such as `${env:NAME}`."),
    FIELD_STRUCT(struct certificate_config, ocsp, "ocsp", "{}", ocsp_fields,
                 "The proof that it is not revoked, sent along in handshakes (OCSP stapling)."),
    FIELD_END,
};

/* --- the parts --- */

static void free_chain(void *chain)
{
    sk_X509_pop_free(chain, X509_free);
}
static void free_leaf(void *leaf)
{
    X509_free(leaf);
}
static void free_key(void *key)
{
    EVP_PKEY_free(key); /* wipes it */
}

static bool read_chain(struct binder *binder, struct certificate *certificate, const struct node *node)
{
    struct pem pem;
    const char *why = NULL;
    if (!pem_read(binder, node, "certificate", &pem))
        return false;
    certificate->chain = pem_certificates(pem.text, &why);
    certificate->hash = hash_bytes(pem.text.at, pem.text.size);
    pem_release(&pem);
    const struct node *at = node_get(node, TEXT("certificate"));
    if (!certificate->chain)
        return bind_error(binder, at, "certificate", "%s", why);
    certificate->leaf = sk_X509_shift(certificate->chain);
    return arena_defer(binder->arena, free_chain, certificate->chain)
           && arena_defer(binder->arena, free_leaf, certificate->leaf);
}

/* Nobody is asked at a terminal. */
static int give_passphrase(char *to, int room, int writing, void *argument)
{
    const struct text *passphrase = argument;
    (void)writing;
    if (!passphrase->at || passphrase->size > (size_t)room)
        return -1;
    memcpy(to, passphrase->at, passphrase->size);
    return (int)passphrase->size;
}

static bool read_key(struct binder *binder, struct certificate *certificate, const struct node *node)
{
    struct pem pem;
    const struct node *at = node_get(node, TEXT("key")), *by = node_get(node, TEXT("passphrase"));
    struct text passphrase = by && by->kind == NODE_SCALAR ? by->text : (struct text){NULL, 0};
    if (by && !by->secret) {
        report_hide_line(binder->report, by->place);
        report_warning(binder->report, by->place, binder->path,
                       "the passphrase is written out in the file; use ${env:NAME} or ${file:PATH}");
    }
    if (!pem_read(binder, node, "key", &pem))
        return false;
    if (!pem.owned && at && !at->secret)
        report_warning(binder->report, at->place, binder->path,
                       "the private key is written out in the file; name a file or use ${file:PATH}");
    tls_library_secret_begin();
    BIO *bio = BIO_new_mem_buf(pem.text.at, (int)pem.text.size);
    certificate->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &passphrase) : NULL;
    BIO_free(bio);
    tls_library_secret_end();
    pem_release(&pem);
    ERR_clear_error();
    if (!certificate->key)
        return bind_error(binder, at, "key", "%s",
                          passphrase.at ? "no private key in PEM that the passphrase opens"
                                        : "no private key in PEM, or an encrypted one without `passphrase`");
    certificate->key_type = EVP_PKEY_get_base_id(certificate->key);
    return arena_defer(binder->arena, free_key, certificate->key);
}

/* --- what it is for --- */

static bool add_name(struct arena *arena, struct certificate *certificate, const ASN1_STRING *name)
{
    const char *at = (const char *)ASN1_STRING_get0_data(name);
    size_t size = (size_t)ASN1_STRING_length(name);
    if (size == 0 || size > 253 || memchr(at, 0, size) || certificate->names_count >= NAMES_MAX)
        return true; /* no name that a client could send */
    struct text copy = arena_copy(arena, (struct text){at, size});
    for (size_t i = 0; i < copy.size; i++)
        ((char *)(uintptr_t)copy.at)[i] = char_lower(copy.at[i]);
    certificate->names[certificate->names_count++] = copy;
    return copy.at != NULL;
}

static bool find_names(struct binder *binder, struct certificate *certificate)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate->leaf, NID_subject_alt_name, NULL, NULL);
    int count = sk_GENERAL_NAME_num(all), dns = 0;
    certificate->names = arena_array(binder->arena, (size_t)MAX_OF(count, 0) + 1, sizeof *certificate->names);
    bool fine = certificate->names != NULL;
    for (int i = 0; fine && i < count; i++) {
        const GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);
        dns += one->type == GEN_DNS;
        if (one->type == GEN_DNS)
            fine = add_name(binder->arena, certificate, one->d.dNSName);
    }
    const X509_NAME *subject = X509_get_subject_name(certificate->leaf);
    int at = dns ? -1 : X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (fine && at >= 0)
        fine =
            add_name(binder->arena, certificate, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    GENERAL_NAMES_free(all);
    return fine;
}

static int64_t seconds_of(const ASN1_TIME *at)
{
    struct tm broken_down;
    return ASN1_TIME_to_tm(at, &broken_down) ? (int64_t)timegm(&broken_down) : 0;
}

/* A certificate that has expired is still served: refusing it would not make anything better, and the next reload would fail. */
static void check_times(struct binder *binder, struct certificate *certificate, const struct node *at)
{
    int64_t now_s = (int64_t)time(NULL);
    certificate->begins_s = seconds_of(X509_get0_notBefore(certificate->leaf));
    certificate->expires_s = seconds_of(X509_get0_notAfter(certificate->leaf));
    int64_t left_s = certificate->expires_s - now_s;
    if (left_s <= 0)
        report_warning(binder->report, at->place, binder->path,
                       "the certificate expired %lld days ago; clients refuse it",
                       (long long)(-left_s / DAY_S));
    else if (left_s < CERTIFICATE_WARN_DAYS * DAY_S)
        report_warning(binder->report, at->place, binder->path, "the certificate expires in %lld days",
                       (long long)(left_s / DAY_S));
    if (certificate->begins_s > now_s)
        report_warning(binder->report, at->place, binder->path,
                       "the certificate is not valid yet; clients refuse it for %lld more hours",
                       (long long)((certificate->begins_s - now_s) / 3600 + 1));
}

/* --- stapling --- */

static bool set_ocsp(struct binder *binder, struct states *states, struct certificate *certificate,
                     const struct ocsp_config *config, const struct node *node)
{
    const struct node *at = node_get(node, TEXT("ocsp"));
    const char *why = NULL;
    struct pem file;
    if (config->file.size && config->fetch)
        return bind_error(binder, at, "ocsp", "wants `file` or `fetch`, not both");
    if (config->file.size) {
        if (!pem_read_file(binder, at, "ocsp.file", config->file, STAPLE_BYTES_MAX, &file))
            return false;
        certificate->staple = arena_copy(binder->arena, file.text);
        pem_release(&file);
        if (!ocsp_check(certificate->staple, certificate->leaf, certificate->chain,
                        &certificate->staple_until_s, &why)) {
            report_warning(binder->report, at->place, binder->path, "ocsp.file: %s; nothing is stapled", why);
            certificate->staple = (struct text){NULL, 0};
        }
    }
    if (!config->fetch)
        return true;
    if (!ocsp_can_fetch(certificate->leaf, certificate->chain, &why))
        return bind_error(binder, at, "ocsp.fetch", "%s", why);
    certificate->ocsp = ocsp_state_claim(states, binder->arena, certificate->name, certificate->hash);
    return certificate->ocsp || bind_error(binder, at, "ocsp", "out of memory");
}

struct certificate *certificate_build(struct binder *binder, struct states *states, struct text name,
                                      const struct node *node)
{
    struct certificate_config config = {0};
    struct certificate *certificate = ARENA_NEW(binder->arena, struct certificate);
    if (!certificate || !tls_library_ready()) {
        bind_error(binder, node, NULL, "out of memory");
        return NULL;
    }
    certificate->name = name;
    if (!field_bind(binder, certificate_fields, node, &config))
        return NULL;
    bool has_chain = read_chain(binder, certificate, node), has_key = read_key(binder, certificate, node);
    if (!has_chain || !has_key)
        return NULL;
    if (X509_check_private_key(certificate->leaf, certificate->key) != 1) {
        ERR_clear_error();
        bind_error(binder, node_get(node, TEXT("key")), "key", "is not the key of the certificate");
        return NULL;
    }
    check_times(binder, certificate, node_get(node, TEXT("certificate")));
    if (!find_names(binder, certificate)) {
        bind_error(binder, node, NULL, "out of memory");
        return NULL;
    }
    return set_ocsp(binder, states, certificate, &config.ocsp, node) ? certificate : NULL;
}
