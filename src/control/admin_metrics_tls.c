/* What the metrics page says of TLS: handshakes on both sides, and how long certificates are still valid. */
#include "base/check.h"
#include "control/admin.h"
#include "telemetry/prometheus.h"
#include "tls/certificate.h"
#include "tls/ocsp.h"

typedef const struct tls_counts *choose_counts(const struct worker *worker);

static const struct tls_counts *of_clients(const struct worker *worker)
{
    return &worker->counts.tls;
}

static const struct tls_counts *of_services(const struct worker *worker)
{
    return &worker->upstream.tls;
}

static uint64_t sum(const struct gateway *gateway, choose_counts *choose, size_t offset)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < gateway->workers_count; i++) {
        const char *counts = (const char *)choose(&gateway->workers[i]);
        total += atomic_load_explicit((const _Atomic uint64_t *)(const void *)(counts + offset),
                                      memory_order_relaxed);
    }
    return total;
}

static void write_handshakes(struct prometheus *writer, const struct gateway *gateway, const char *name,
                             const char *about, choose_counts *choose)
{
    static const char *const resumed[] = {"no", "yes"};
    prometheus_family(writer, name, PROMETHEUS_COUNTER, about);
    for (unsigned i = 0; i < TLS_VERSIONS_COUNT; i++) {
        for (unsigned k = 0; k < 2; k++) {
            const struct prometheus_label labels[] = {{"version", text_of(tls_version_names[i])},
                                                      {"resumed", text_of(resumed[k])}};
            prometheus_sample(writer, labels, COUNT_OF(labels),
                              sum(gateway, choose, offsetof(struct tls_counts, handshakes[i][k])));
        }
    }
}

static void write_failures(struct prometheus *writer, const struct gateway *gateway, const char *name,
                           const char *about, choose_counts *choose)
{
    prometheus_family(writer, name, PROMETHEUS_COUNTER, about);
    for (unsigned i = 1; i < TLS_FAILURES_COUNT; i++) {
        const struct prometheus_label label = {"reason", text_of(tls_failure_names[i])};
        prometheus_sample(writer, &label, 1, sum(gateway, choose, offsetof(struct tls_counts, failures[i])));
    }
}

static void write_ciphers(struct prometheus *writer, const struct gateway *gateway)
{
    prometheus_family(writer, "turnpike_tls_ciphers_total", PROMETHEUS_COUNTER,
                      "TLS handshakes with clients, by cipher.");
    for (unsigned i = 0; i < tls_ciphers_count; i++) {
        const struct prometheus_label label = {"cipher", text_of(tls_cipher_names[i])};
        prometheus_sample(writer, &label, 1,
                          sum(gateway, of_clients, offsetof(struct tls_counts, ciphers[i])));
    }
}

static void write_certificates(struct prometheus *writer, const struct gateway *gateway)
{
    const struct table *certificates = &gateway->snapshot->certificates;
    size_t cursor = 0;
    prometheus_family(writer, "turnpike_certificate_expires_timestamp_seconds", PROMETHEUS_GAUGE,
                      "When a certificate of the configuration expires.");
    for (const struct table_slot *slot; (slot = table_next(certificates, &cursor));) {
        const struct certificate *certificate = ((const struct object *)slot->value)->value;
        const struct prometheus_label label = {"certificate", certificate->name};
        prometheus_sample_signed(writer, &label, 1, certificate->expires_s);
    }
    prometheus_family(writer, "turnpike_ocsp_expires_timestamp_seconds", PROMETHEUS_GAUGE,
                      "Until when the fetched OCSP answer of a certificate holds; 0: there is none.");
    for (cursor = 0;;) {
        const struct table_slot *slot = table_next(certificates, &cursor);
        const struct certificate *certificate = slot ? ((const struct object *)slot->value)->value : NULL;
        if (!slot)
            break;
        if (!certificate->ocsp)
            continue;
        const struct prometheus_label label = {"certificate", certificate->name};
        const struct ocsp_answer *answer = atomic_load(&certificate->ocsp->answer);
        prometheus_sample_signed(writer, &label, 1, answer ? answer->until_s : 0);
    }
}

void admin_write_tls(struct prometheus *writer, const struct gateway *gateway)
{
    write_handshakes(writer, gateway, "turnpike_tls_handshakes_total", "TLS handshakes with clients.",
                     of_clients);
    write_ciphers(writer, gateway);
    write_failures(writer, gateway, "turnpike_tls_handshake_failures_total",
                   "TLS handshakes with clients that failed, by reason.", of_clients);
    write_handshakes(writer, gateway, "turnpike_upstream_tls_handshakes_total",
                     "TLS handshakes with endpoints.", of_services);
    write_failures(writer, gateway, "turnpike_upstream_tls_failures_total",
                   "TLS handshakes with endpoints that failed, by reason.", of_services);
    write_certificates(writer, gateway);
}
