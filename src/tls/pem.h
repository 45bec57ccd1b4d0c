/* PEM texts of the configuration: written out, brought in by `${file:}`, or the path of a file. */
#pragma once

#include <openssl/x509.h>

#include "config/field.h"

/* A text that is wiped when it goes. Zeroed is "none". */
struct pem {
    struct text text;
    char *owned; /* its own copy; NULL: the configuration's */
    size_t owned_size;
};

/* The text that the member `field` of the map `node` names. A file is noted with bind_depends_on(); its path is relative to the
 * configuration file that names it. `ret_pem->text` is empty where the member is not there. False: the report says why. */
bool pem_read(struct binder *binder, const struct node *node, const char *field, struct pem *ret_pem);
void pem_release(struct pem *pem);

/* The same for a file of any content, `path` being the value of `node`. */
bool pem_read_file(struct binder *binder, const struct node *node, const char *field, struct text path,
                   size_t bytes_max, struct pem *ret_pem);

/* All certificates of a PEM text, in its order; the caller frees them with OSSL_STACK_OF_X509_free(). NULL: there is none, or one is
 * broken: `*ret_why` says which. */
STACK_OF(X509) * pem_certificates(struct text pem, const char **ret_why);
