/* What the parts of building the server side of TLS share: the configuration as it was read, and the state of the work.
 * Private to tls/server_build.c, server_names.c and server_profile.c. */
#pragma once

#include "config/field.h"
#include "tls/server.h"

struct client_config {
    int verify; /* 0: not given */
    const struct node *ca, *crl;
    int64_t depth;
};

struct rules_config {
    struct text name; /* of an entry of `names` */
    struct array certificates;
    struct tls_settings settings;
    struct client_config client;
};

struct tickets_config {
    bool enabled;
    int64_t rotate_ms, count;
    struct text file;
};

struct handshakes_config {
    int64_t concurrent, rate, queue;
};

struct server_config {
    struct rules_config rules;
    struct array names;
    struct array alpn;
    int unknown_name;
    struct tickets_config tickets;
    struct handshakes_config handshakes;
    struct text key_log;
};

struct building {
    struct binder *binder;
    struct states *states;
    const struct tls_certificates *certificates;
    struct tls_server *server;
    const struct server_config *config;
    const struct node *node;
};

/* A context of OpenSSL with these rules; `scope` as in struct tls_profile. NULL: the report says why. */
struct tls_profile *tls_server_make_profile(struct building *building, const struct tls_settings *settings,
                                            const struct client_config *client, uint64_t scope,
                                            const struct node *node, const struct node *client_node);

/* Tells the rules of one name from those of another; never 0. */
uint64_t tls_server_scope(struct text name);

/* Fills the server's names: those of the listed certificates, then the entries of `names`. False: the report says why. */
bool tls_server_add_names(struct building *building);
