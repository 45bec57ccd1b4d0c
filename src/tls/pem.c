/* Reads PEM texts; what it copies is wiped. */
#include "tls/pem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/memory.h"

enum { PEM_BYTES_MAX = 4 << 20 };

static const char *read_all(int fd, size_t bytes_max, struct pem *pem)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || (size_t)status.st_size > bytes_max)
        return "it is not a regular file, or too large";
    size_t room = (size_t)status.st_size + 1, size = 0;
    pem->owned = memory_alloc(room);
    pem->owned_size = room;
    while (pem->owned && size < room) {
        ssize_t got = read(fd, pem->owned + size, room - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return "it could not be read";
        if (got == 0)
            break;
        size += (size_t)got;
    }
    if (size == room)
        return "it changed while it was read";
    pem->text = (struct text){pem->owned, size};
    return pem->owned ? NULL : "out of memory";
}

/* Paths are relative to the configuration file that names them. */
static const char *open_and_read(struct binder *binder, const struct node *node, struct text path,
                                 size_t bytes_max, struct pem *pem)
{
    struct text source = node->place.source ? source_name(node->place.source) : TEXT("");
    size_t slash = text_find_last_char(source, '/');
    struct text folder =
        text_starts_with(path, TEXT("/")) || slash == TEXT_NONE ? TEXT("") : text_slice(source, 0, slash + 1);
    struct text full = arena_format(binder->arena, "%.*s%.*s", TEXT_ARGS(folder), TEXT_ARGS(path));
    if (full.size == 0 || path.size == 0 || text_find_char(path, 0) != TEXT_NONE)
        return "this is no path";
    bind_depends_on(binder, full);
    int fd = open(full.at, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT   ? "there is no such file"
               : errno == EACCES ? "the file may not be read by this user"
                                 : "the file could not be opened";
    const char *why = read_all(fd, bytes_max, pem);
    (void)close(fd); /* it was only read */
    return why;
}

bool pem_read_file(struct binder *binder, const struct node *node, const char *field, struct text path,
                   size_t bytes_max, struct pem *ret_pem)
{
    *ret_pem = (struct pem){.owned = NULL};
    const char *why = open_and_read(binder, node, path, bytes_max, ret_pem);
    if (!why)
        return true;
    pem_release(ret_pem);
    if (path.size > 300 || text_find_char(path, '\n') != TEXT_NONE)
        return bind_error(binder, node, field, "wants a PEM text (`-----BEGIN ...`) or the path of a file");
    return bind_error(binder, node, field, "`%.*s`: %s", TEXT_ARGS(path), why);
}

bool pem_read(struct binder *binder, const struct node *node, const char *field, struct pem *ret_pem)
{
    const struct node *value = node_get(node, text_of(field));
    *ret_pem = (struct pem){.owned = NULL};
    if (!value || value->kind == NODE_NULL)
        return true;
    if (value->kind != NODE_SCALAR)
        return bind_error(binder, value, field, "wants a PEM text or the path of a file");
    if (text_find(value->text, TEXT("-----BEGIN ")) != TEXT_NONE) {
        if (!value->secret)
            report_hide_line(binder->report, value->place);
        ret_pem->text = value->text;
        return true;
    }
    if (value->secret) /* what a reference brought in is not to be shown as if it were a path */
        return bind_error(binder, value, field, "the reference gives no PEM text (`-----BEGIN ...`)");
    return pem_read_file(binder, value, field, value->text, PEM_BYTES_MAX, ret_pem);
}

void pem_release(struct pem *pem)
{
    if (pem->owned)
        memory_wipe(pem->owned, pem->owned_size);
    memory_free(pem->owned);
    *pem = (struct pem){.owned = NULL};
}

STACK_OF(X509) * pem_certificates(struct text pem, const char **ret_why)
{
    STACK_OF(X509) *all = sk_X509_new_null();
    BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.size);
    X509 *one = NULL;
    ERR_clear_error();
    while (all && bio && (one = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) && sk_X509_push(all, one))
        one = NULL;
    X509_free(one);
    unsigned long error = ERR_peek_last_error();
    bool at_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    BIO_free(bio);
    if (all && at_end && sk_X509_num(all) > 0)
        return all;
    *ret_why = !all || !bio ? "out of memory"
               : at_end     ? "there is no certificate in it"
                            : "a certificate is broken";
    sk_X509_pop_free(all, X509_free);
    return NULL;
}
