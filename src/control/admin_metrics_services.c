/* The metrics page: what is counted for each service of the newest snapshot. */
#include "base/check.h"
#include "control/admin.h"
#include "telemetry/prometheus.h"
#include "upstream/service.h"

static uint64_t retries_made(const struct service *service)
{
    return service->retry.budget ? atomic_load(&service->retry.budget->made) : 0;
}

static uint64_t retries_refused(const struct service *service)
{
    return service->retry.budget ? atomic_load(&service->retry.budget->refused) : 0;
}

static uint64_t of(int64_t gauge)
{
    return (uint64_t)MAX_OF(gauge, 0);
}

static uint64_t at_once(const struct service *service)
{
    return service->queue.queue ? of(atomic_load(&service->queue.queue->in_flight)) : 0;
}

static uint64_t waiting(const struct service *service)
{
    return service->queue.queue ? of(atomic_load(&service->queue.queue->waiting)) : 0;
}

static uint64_t queue_full(const struct service *service)
{
    return service->queue.queue ? atomic_load(&service->queue.queue->refused) : 0;
}

static uint64_t queue_timeouts(const struct service *service)
{
    return service->queue.queue ? atomic_load(&service->queue.queue->timed_out) : 0;
}

static uint64_t hedges(const struct service *service)
{
    return service->hedge.times ? atomic_load(&service->hedge.times->begun) : 0;
}

static uint64_t hedges_won(const struct service *service)
{
    return service->hedge.times ? atomic_load(&service->hedge.times->won) : 0;
}

void admin_write_services(struct prometheus *writer, const struct gateway *gateway)
{
    static const struct {
        const char *name, *help;
        enum prometheus_type type;
        uint64_t (*value)(const struct service *service);
    } families[] = {
        {"turnpike_retries_total", "Further attempts and hedges that the budget allowed.", PROMETHEUS_COUNTER,
         retries_made},
        {"turnpike_retries_refused_total", "Further attempts and hedges that the budget refused.",
         PROMETHEUS_COUNTER, retries_refused},
        {"turnpike_hedges_total", "Hedges that were begun.", PROMETHEUS_COUNTER, hedges},
        {"turnpike_hedges_won_total", "Hedges whose answer was taken.", PROMETHEUS_COUNTER, hedges_won},
        {"turnpike_service_in_flight", "Requests at a service with `concurrency` now.", PROMETHEUS_GAUGE,
         at_once},
        {"turnpike_queue_waiting", "Requests that wait for their turn now.", PROMETHEUS_GAUGE, waiting},
        {"turnpike_queue_refused_total", "Requests that found the queue full.", PROMETHEUS_COUNTER,
         queue_full},
        {"turnpike_queue_timeouts_total", "Requests whose turn did not come in time.", PROMETHEUS_COUNTER,
         queue_timeouts},
    };
    for (unsigned i = 0; i < COUNT_OF(families); i++) {
        size_t cursor = 0;
        prometheus_family(writer, families[i].name, families[i].type, families[i].help);
        for (const struct service *service; (service = snapshot_next_service(gateway->snapshot, &cursor));) {
            const struct prometheus_label label = {"service", service->name};
            prometheus_sample(writer, &label, 1, families[i].value(service));
        }
    }
}
