/* Reads the other side's certificate. It was parsed by OpenSSL; its texts are hostile all the same. */
#include "tls/peer.h"

#include <arpa/inet.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/check.h"

enum { NAME_BYTES_MAX = 4096 };

struct text tls_peer_version(const struct tls_layer *tls)
{
    return text_of(SSL_get_version(tls->ssl));
}

struct text tls_peer_cipher(const struct tls_layer *tls)
{
    return text_of(SSL_get_cipher_name(tls->ssl));
}

struct text tls_peer_name(const struct tls_layer *tls)
{
    const char *name = SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
    return name ? text_of(name) : TEXT("");
}

struct text tls_peer_protocol(const struct tls_layer *tls)
{
    const unsigned char *at;
    unsigned size;
    SSL_get0_alpn_selected(tls->ssl, &at, &size);
    return size ? (struct text){(const char *)at, size} : TEXT("");
}

bool tls_peer_verified(const struct tls_layer *tls)
{
    return SSL_get0_peer_certificate(tls->ssl) && SSL_get_verify_result(tls->ssl) == X509_V_OK;
}

static struct text write_name(const X509_NAME *name, struct arena *arena)
{
    BIO *bio = BIO_new(BIO_s_mem());
    struct text text = TEXT("");
    char *at;
    if (bio
        && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0) {
        long size = BIO_get_mem_data(bio, &at);
        text = arena_copy(arena, (struct text){at, (size_t)MIN_OF(size, (long)NAME_BYTES_MAX)});
    }
    BIO_free(bio);
    return text;
}

struct text tls_peer_subject(const struct tls_layer *tls, struct arena *arena)
{
    const X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    return certificate ? write_name(X509_get_subject_name(certificate), arena) : TEXT("");
}

struct text tls_peer_issuer(const struct tls_layer *tls, struct arena *arena)
{
    const X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    return certificate ? write_name(X509_get_issuer_name(certificate), arena) : TEXT("");
}

static struct text hex(const unsigned char *at, size_t size, struct arena *arena)
{
    char *to = arena_alloc(arena, 2 * size + 1);
    if (!to)
        return TEXT("");
    text_hex(at, size, to);
    return (struct text){to, 2 * size};
}

struct text tls_peer_serial(const struct tls_layer *tls, struct arena *arena)
{
    const X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    const ASN1_INTEGER *serial = certificate ? X509_get0_serialNumber(certificate) : NULL;
    return serial ? hex(ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial), arena) : TEXT("");
}

struct text tls_peer_fingerprint(const struct tls_layer *tls, struct arena *arena)
{
    const X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size;
    return certificate && X509_digest(certificate, EVP_sha256(), digest, &size) ? hex(digest, size, arena)
                                                                                : TEXT("");
}

/* .at NULL: a kind of name that is not told. */
static struct text write_alternative(const GENERAL_NAME *name, struct arena *arena)
{
    const ASN1_STRING *string = name->d.ia5;
    char ip[INET6_ADDRSTRLEN];
    switch (name->type) {
    case GEN_DNS:
    case GEN_URI:
    case GEN_EMAIL: break;
    case GEN_IPADD: {
        int size = ASN1_STRING_length(string);
        if ((size != 4 && size != 16)
            || !inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(string), ip, sizeof ip))
            return (struct text){NULL, 0};
        return arena_format(arena, "IP:%s", ip);
    }
    default: return (struct text){NULL, 0};
    }
    struct text value = {(const char *)ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string)};
    if (value.size > NAME_BYTES_MAX || text_find_char(value, 0) != TEXT_NONE || !text_is_utf8(value))
        return (struct text){NULL, 0};
    struct text parts[] = {name->type == GEN_DNS   ? TEXT("DNS:")
                           : name->type == GEN_URI ? TEXT("URI:")
                                                   : TEXT("email:"),
                           value};
    return arena_join(arena, parts, COUNT_OF(parts));
}

size_t tls_certificate_names(const X509 *certificate, struct arena *arena, struct text *ret_names, size_t max)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    size_t count = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(all) && count < max; i++) {
        struct text name = write_alternative(sk_GENERAL_NAME_value(all, i), arena);
        if (name.size)
            ret_names[count++] = name;
    }
    GENERAL_NAMES_free(all);
    return count;
}

size_t tls_peer_names(const struct tls_layer *tls, struct arena *arena, struct text *ret_names, size_t max)
{
    const X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    return certificate ? tls_certificate_names(certificate, arena, ret_names, max) : 0;
}
