/* OpenSSL between our streams and our sockets. */
#include "net/tls_layer.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "base/check.h"
#include "base/memory.h"

enum {
    RECORD_BYTES = 16 * 1024, /* RFC 8446 section 5.1 */
    READS_MAX = 64            /* of the socket for one call: more is a flood of records that carry nothing */
};

const char *const tls_failure_names[TLS_FAILURES_COUNT] = {
    [TLS_FINE] = "",
#define FAILURE(identifier, text) [TLS_FAILURE_##identifier] = (text),
#include "net/tls_failure.def"
#undef FAILURE
};

/* --- the BIO: OpenSSL's view of the socket --- */

static int bio_read(BIO *bio, char *to, int room)
{
    struct tls_layer *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (++tls->reads > READS_MAX) {
        tls->error = EPROTO;
        return -1;
    }
    struct io_result r = layer_read(&tls->socket->layer, to, (size_t)room);
    switch (r.status) {
    case IO_OK:
        if (!tls->has_first)
            tls->first = (unsigned char)to[0];
        tls->has_first = true;
        return (int)r.size;
    case IO_BLOCKED: BIO_set_retry_read(bio); return -1;
    case IO_END: tls->socket_ended = true; return 0;
    case IO_FAILED: tls->error = r.error; return -1;
    }
    UNREACHABLE();
}

static int bio_write(BIO *bio, const char *from, int size)
{
    struct tls_layer *tls = BIO_get_data(bio);
    struct iovec part = {(void *)(uintptr_t)from, (size_t)size};
    BIO_clear_retry_flags(bio);
    struct io_result r = layer_write(&tls->socket->layer, &part, 1);
    if (r.status == IO_OK)
        return (int)r.size;
    if (r.status == IO_BLOCKED)
        BIO_set_retry_write(bio);
    else
        tls->error = r.error;
    return -1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    const struct tls_layer *tls = BIO_get_data(bio);
    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF)
        return tls->socket_ended;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static void make_method(void)
{
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket layer");
    if (made && BIO_meth_set_read(made, bio_read) && BIO_meth_set_write(made, bio_write)
        && BIO_meth_set_ctrl(made, bio_ctrl))
        method = made;
}

/* --- failures --- */

static enum tls_failure of_reason(int reason)
{
    switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST: return TLS_FAILURE_PLAIN_HTTP;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_VERSION_TOO_HIGH: return TLS_FAILURE_VERSION;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS: return TLS_FAILURE_CIPHER;
    case SSL_R_NO_APPLICATION_PROTOCOL: return TLS_FAILURE_ALPN;
    case SSL_R_CALLBACK_FAILED: return TLS_FAILURE_NAME;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return TLS_FAILURE_CERTIFICATE_MISSING;
    case SSL_R_CERTIFICATE_VERIFY_FAILED: return TLS_FAILURE_CERTIFICATE;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING: return TLS_FAILURE_CLOSED;
    case ERR_R_MALLOC_FAILURE:
    case ERR_R_INTERNAL_ERROR: return TLS_FAILURE_INTERNAL;
    default: return reason > SSL_AD_REASON_OFFSET ? TLS_FAILURE_ALERT : TLS_FAILURE_PROTOCOL;
    }
}

static void set_failure(struct tls_layer *tls, enum tls_failure failure, const char *reason)
{
    tls->broken = true;
    tls->failure = failure;
    tls->reason = reason;
}

void tls_layer_fail(struct tls_layer *tls, enum tls_failure failure, const char *reason)
{
    if (tls->failure == TLS_FINE)
        set_failure(tls, failure, reason);
}

/* What stopped OpenSSL, from its queue of errors, which is empty afterwards. */
static void note_failure(struct tls_layer *tls)
{
    unsigned long code = ERR_peek_error();
    ERR_clear_error();
    if (tls->failure != TLS_FINE)
        return; /* a callback knew more */
    bool is_plain = tls->has_first && tls->first >= 'A' && tls->first <= 'Z' && !tls->is_open;
    if (is_plain) {
        set_failure(tls, TLS_FAILURE_PLAIN_HTTP,
                    SSL_is_server(tls->ssl) ? "a request without TLS" : "an answer without TLS");
    } else if (tls->reads > READS_MAX) {
        set_failure(tls, TLS_FAILURE_PROTOCOL, "too many records that carry nothing");
    } else if (code == 0) {
        set_failure(tls, TLS_FAILURE_CLOSED, tls->error ? strerrordesc_np(tls->error) : "connection closed");
    } else {
        const char *reason = ERR_reason_error_string(code);
        set_failure(tls, of_reason(ERR_GET_REASON(code)), reason ? reason : "unknown reason");
        long verified = SSL_get_verify_result(tls->ssl);
        if (tls->failure == TLS_FAILURE_CERTIFICATE && verified != X509_V_OK)
            tls->detail = X509_verify_cert_error_string(verified);
    }
    tls->error = tls->error ? tls->error : EPROTO;
}

static struct io_result blocked(void)
{
    return (struct io_result){.status = IO_BLOCKED};
}

static struct io_result broken(const struct tls_layer *tls)
{
    return (struct io_result){.status = IO_FAILED, .error = tls->error ? tls->error : EPROTO};
}

/* What a call of OpenSSL says that moved nothing. */
static struct io_result of_stop(struct tls_layer *tls, int result)
{
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return blocked();
    case SSL_ERROR_ZERO_RETURN: tls->ended = true; return (struct io_result){.status = IO_END};
    default: note_failure(tls); return broken(tls);
    }
}

/* --- the layer --- */

static struct tls_layer *tls_of(const struct layer *layer)
{
    return CONTAINER_OF(layer, struct tls_layer, layer);
}

static enum layer_progress tls_open(struct layer *layer)
{
    struct tls_layer *tls = tls_of(layer);
    if (tls->is_open)
        return LAYER_DONE;
    if (tls->broken)
        return LAYER_FAILED;
    enum layer_progress below = layer_open(layer->below);
    if (below != LAYER_DONE)
        return below;
    ERR_clear_error();
    tls->reads = 0;
    int result = SSL_do_handshake(tls->ssl);
    if (result == 1) {
        tls->is_open = true;
        tls->context = NULL;
        return LAYER_DONE;
    }
    return of_stop(tls, result).status == IO_BLOCKED ? LAYER_WAIT : LAYER_FAILED;
}

static struct io_result tls_read(struct layer *layer, void *to, size_t room)
{
    struct tls_layer *tls = tls_of(layer);
    if (tls->broken)
        return broken(tls);
    if (tls->ended)
        return (struct io_result){.status = IO_END};
    if (!tls->socket->readable && !SSL_has_pending(tls->ssl))
        return blocked();
    ERR_clear_error();
    tls->reads = 0;
    int got = SSL_read(tls->ssl, to, (int)MIN_OF(room, (size_t)INT_MAX));
    if (LIKELY(got > 0))
        return (struct io_result){.status = IO_OK, .size = (size_t)got};
    return of_stop(tls, got);
}

/* At most a record from `parts`, of which `skip` bytes are written already: in place where one part has it, else gathered. */
static const char *gather(const struct iovec *parts, int count, size_t skip, size_t size, char *room)
{
    size_t have = 0;
    for (int i = 0; i < count && have < size; i++) {
        size_t left = parts[i].iov_len;
        if (skip >= left) {
            skip -= left;
            continue;
        }
        const char *at = (const char *)parts[i].iov_base + skip;
        left -= skip;
        skip = 0;
        if (have == 0 && left >= size)
            return at;
        size_t n = MIN_OF(left, size - have);
        memcpy(room + have, at, n);
        have += n;
    }
    CHECK(have == size);
    return room;
}

static struct io_result tls_write(struct layer *layer, const struct iovec *parts, int count)
{
    static _Thread_local char gathered[RECORD_BYTES];
    struct tls_layer *tls = tls_of(layer);
    if (tls->broken)
        return broken(tls);
    if (!tls->socket->writable)
        return blocked();
    size_t total = 0, sent = 0;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    ERR_clear_error();
    while (sent < total) {
        size_t size = tls->unsent ? tls->unsent : MIN_OF(total - sent, (size_t)RECORD_BYTES);
        CHECK(size <= total - sent); /* the same bytes again: see the head of this file's header */
        int wrote = SSL_write(tls->ssl, gather(parts, count, sent, size, gathered), (int)size);
        if (wrote <= 0) {
            struct io_result r = of_stop(tls, wrote);
            if (r.status != IO_BLOCKED)
                return broken(tls);
            tls->unsent = size;
            break;
        }
        tls->unsent = 0;
        sent += (size_t)wrote;
    }
    return sent == 0 && total > 0 ? blocked() : (struct io_result){.status = IO_OK, .size = sent};
}

/* Says that nothing more follows, as far as the socket takes it at once. */
static void notify(struct tls_layer *tls)
{
    if (!tls->is_open || tls->broken || tls->shut)
        return;
    ERR_clear_error();
    tls->shut = true;
    (void)SSL_shutdown(
        tls->ssl); /* what it could not send is missed by nobody who has seen a whole message */
    ERR_clear_error();
}

static enum layer_progress tls_shut(struct layer *layer)
{
    notify(tls_of(layer));
    return layer_shut(layer->below);
}

static void tls_close(struct layer *layer)
{
    struct tls_layer *tls = tls_of(layer);
    notify(tls);
    SSL_free(tls->ssl);
    tls->ssl = NULL;
    tls->broken = true;
    layer_close(layer->below);
}

static bool tls_pending(const struct layer *layer)
{
    const struct tls_layer *tls = tls_of(layer);
    return tls->socket->readable || (tls->ssl && SSL_has_pending(tls->ssl));
}

const struct layer_type tls_layer_type = {
    .name = "tls",
    .open = tls_open,
    .read = tls_read,
    .write = tls_write,
    .shut = tls_shut,
    .close = tls_close,
    .pending = tls_pending,
};

struct tls_layer *tls_layer_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

struct tls_layer *tls_layer_new(struct socket_layer *socket, SSL *ssl)
{
    pthread_once(&method_once, make_method);
    struct tls_layer *tls = ssl && method ? memory_zero(sizeof *tls) : NULL;
    BIO *bio = tls ? BIO_new(method) : NULL;
    if (!bio) {
        SSL_free(ssl);
        memory_free(tls);
        return NULL;
    }
    tls->layer = (struct layer){&tls_layer_type, &socket->layer};
    tls->socket = socket;
    tls->ssl = ssl;
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, tls);
    return tls;
}

void tls_layer_free(struct tls_layer *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    memory_free(tls);
}
