/* Looks after the certificates of the newest snapshot: says when one is about to expire, and keeps their OCSP answers fresh. The control
 * thread decides, a thread of the pool asks; one question at a time. */
#include <time.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/time.h"
#include "control/gateway_state.h"
#include "tls/certificate.h"
#include "tls/ocsp.h"

enum {
    LOOK_MS = 1000,
    ASK_TIMEOUT_S = 10,
    AGAIN_MIN_S = 60, /* an answer that a worker may still copy is freed with the one after the next */
    AGAIN_MAX_S = 24 * 3600,
    FAILED_AGAIN_S = 60,
    DAY_S = 24 * 3600
};

struct certificate_keeper {
    struct gateway *gateway;
    struct timer timer;
    int64_t warned_s; /* when expiry was last spoken of; 0: never */
    struct job job;
    bool asking;
    X509 *leaf;
    STACK_OF(X509) * chain;
    struct ocsp_answer *answer;
    const char *why;
};

static int64_t now_s(void)
{
    return (int64_t)time(NULL);
}

/* --- expiry --- */

static void warn_of_expiry(struct certificate_keeper *keeper, int64_t at_s)
{
    if (at_s - keeper->warned_s < DAY_S)
        return;
    const struct table *all = &keeper->gateway->snapshot->certificates;
    size_t cursor = 0;
    for (const struct table_slot *slot; (slot = table_next(all, &cursor));) {
        const struct certificate *one = ((const struct object *)slot->value)->value;
        int64_t left_s = one->expires_s - at_s;
        if (left_s < CERTIFICATE_WARN_DAYS * (int64_t)DAY_S)
            log_warn(left_s > 0 ? "a certificate expires soon" : "a certificate has expired",
                     LOG_TEXT("certificate", one->name), LOG_INT("days", left_s / DAY_S));
    }
    keeper->warned_s = at_s;
}

/* --- OCSP --- */

static void forget(struct certificate_keeper *keeper)
{
    X509_free(keeper->leaf);
    sk_X509_pop_free(keeper->chain, X509_free);
    memory_free(keeper->answer);
    keeper->leaf = NULL;
    keeper->chain = NULL;
    keeper->answer = NULL;
    keeper->asking = false;
}

/* On a thread of the pool. */
static void ask(struct job *job)
{
    struct certificate_keeper *keeper = CONTAINER_OF(job, struct certificate_keeper, job);
    keeper->answer = ocsp_fetch(keeper->leaf, keeper->chain, ASK_TIMEOUT_S, &keeper->why);
}

/* What was asked for, if the configuration still has it. */
static const struct certificate *find(const struct certificate_keeper *keeper)
{
    const struct table *all = &keeper->gateway->snapshot->certificates;
    size_t cursor = 0;
    for (const struct table_slot *slot; (slot = table_next(all, &cursor));) {
        const struct certificate *one = ((const struct object *)slot->value)->value;
        if (one->ocsp && X509_cmp(one->leaf, keeper->leaf) == 0)
            return one;
    }
    return NULL;
}

static void answered(struct job *job)
{
    struct certificate_keeper *keeper = CONTAINER_OF(job, struct certificate_keeper, job);
    const struct certificate *one = find(keeper);
    int64_t at_s = now_s();
    if (one && keeper->answer) {
        int64_t again_s = (keeper->answer->until_s - at_s) / 2;
        atomic_store(&one->ocsp->fetch_at_s,
                     at_s + MAX_OF(AGAIN_MIN_S, MIN_OF(again_s, (int64_t)AGAIN_MAX_S)));
        atomic_fetch_add(&one->ocsp->fetched, 1);
        ocsp_publish(one->ocsp, keeper->answer);
        keeper->answer = NULL;
    } else if (one) {
        atomic_store(&one->ocsp->fetch_at_s, at_s + FAILED_AGAIN_S);
        atomic_fetch_add(&one->ocsp->failed, 1);
        log_warn("no OCSP answer for a certificate", LOG_TEXT("certificate", one->name),
                 LOG_STRING("reason", keeper->why));
    }
    forget(keeper);
}

static void ask_for(struct certificate_keeper *keeper, const struct certificate *one)
{
    keeper->asking = true;
    keeper->leaf = X509_up_ref(one->leaf) ? one->leaf : NULL;
    keeper->chain = X509_chain_up_ref(one->chain);
    keeper->job.work = ask;
    keeper->job.done = answered;
    bool fine = keeper->leaf && keeper->chain
                && thread_pool_submit(keeper->gateway->threads, &keeper->gateway->control.loop, &keeper->job);
    if (!fine)
        forget(keeper); /* the next look tries again */
}

static void look(struct timer *timer)
{
    struct certificate_keeper *keeper = CONTAINER_OF(timer, struct certificate_keeper, timer);
    struct loop *loop = &keeper->gateway->control.loop;
    const struct table *all = &keeper->gateway->snapshot->certificates;
    int64_t at_s = now_s();
    size_t cursor = 0;
    warn_of_expiry(keeper, at_s);
    for (const struct table_slot *slot; !keeper->asking && (slot = table_next(all, &cursor));) {
        const struct certificate *one = ((const struct object *)slot->value)->value;
        if (one->ocsp && atomic_load(&one->ocsp->fetch_at_s) <= at_s)
            ask_for(keeper, one);
    }
    timer_set(loop, timer, loop->now_ms + LOOK_MS);
}

struct certificate_keeper *certificate_keeper_new(struct gateway *gateway)
{
    struct certificate_keeper *keeper = memory_zero(sizeof *keeper);
    if (!keeper)
        return NULL;
    keeper->gateway = gateway;
    keeper->timer.on_due = look;
    timer_set(&gateway->control.loop, &keeper->timer, gateway->control.loop.now_ms);
    return keeper;
}

void certificate_keeper_stop(struct certificate_keeper *keeper)
{
    if (keeper)
        timer_clear(&keeper->gateway->control.loop, &keeper->timer);
}

void certificate_keeper_free(struct certificate_keeper *keeper)
{
    if (!keeper)
        return;
    certificate_keeper_stop(keeper);
    loop_unpost(&keeper->gateway->control.loop, &keeper->job.task);
    forget(keeper);
    memory_free(keeper);
}
