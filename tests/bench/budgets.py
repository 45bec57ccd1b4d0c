"""The figures that Turnpike promises, compared with what was measured.

A round is {entrant: record}. A ratio is taken within a round, so that the machine's drift cancels; the median of the rounds counts.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from cases import ROUTES

EPOLL_WAITS_MAX = 2  # a request: one a message, if every wait brought a single event
CALLS_MAX = 4.05  # read, write, read, write, and a share of the log's write and the timer
CALLS_OF_A_CONNECTION = 4  # accept, no delay, watch, and a read that comes too early


CONDITION = 'request.method == "GET" && request.path.startsWith("/api/")'
KEY = 'consumer.name + ":" + request.headers["x-tenant"]'


def allocations(one_round):
    return sum(record["allocations"] for record in one_round.values())


def record_of(one_round, name):
    record = one_round.get(name)
    return record if record and not record["invalid"] else None


def ratio(name, other, key="cpu_us"):
    def value(one_round):
        ours, theirs = record_of(one_round, name), record_of(one_round, other)
        return ours[key] / theirs[key] if ours and theirs and theirs.get(key) else None

    return value


def field(name, key, scale=1.0):
    def value(one_round):
        record = record_of(one_round, name)
        return record[key] * scale if record and record.get(key) is not None else None

    return value


def calls(one_round):
    """System calls of a request without those of its connection, and without waiting unless that is more than once a message."""
    counted = (record_of(one_round, "turnpike") or {}).get("system_calls")
    if not counted:
        return None
    waits = counted.get("epoll_wait", 0)
    return sum(counted.values()) - min(waits, EPOLL_WAITS_MAX) - CALLS_OF_A_CONNECTION * counted.get("accept4", 0)


def bytes_of_a_consumer(scale):
    def value(one_round):
        many, one = record_of(one_round, "turnpike-many"), record_of(one_round, "turnpike-1")
        return (many["start_rss_kib"] - one["start_rss_kib"]) * 1024 / scale.consumers if many and one else None

    return value


@dataclass(frozen=True)
class Budget:
    case: str
    what: str
    limit: float
    value: Callable
    form: str = "{:.2f}"
    worst: bool = False  # the largest of the rounds counts, not the median


def budgets(scale):
    return [
        Budget("plain", "CPU, x nginx with access log", 0.80, ratio("turnpike", "nginx-log")),
        Budget("plain", "CPU, x the minimal proxy", 1.15, ratio("turnpike", "minimal")),
        Budget("plain", "system calls a request without waiting", CALLS_MAX, calls, "{:.3f}"),
        Budget("keyauth-ratelimit", "CPU, x nginx with access log", 0.85, ratio("turnpike", "nginx-log")),
        Budget("jwt-hs256", "CPU, x nginx with access log", 1.00, ratio("turnpike", "nginx-log")),
        Budget("body-10m", "CPU, x the splicing minimal proxy", 1.15, ratio("turnpike", "minimal-splice")),
        Budget("upload-1m", "CPU, x the splicing minimal proxy", 1.15, ratio("turnpike", "minimal-splice")),
        Budget("routes", "CPU with 100,000 routes, x one route", 1.30, ratio("turnpike-100k", "turnpike-1")),
        Budget("consumers-1m", "bytes a consumer", 250, bytes_of_a_consumer(scale), "{:.0f}"),
        Budget("consumers-1m", "CPU with all consumers, x one consumer", 1.10, ratio("turnpike-many", "turnpike-1")),
        Budget("idle-10k", "bytes a connection", 512, field("turnpike", "bytes_each"), "{:.0f}"),
        Budget("two-workers-idle", "MiB resident, all processes", 12, field("turnpike", "rss_kib", 1 / 1024)),
        Budget("reload-under-load", "failed requests", 0, field("turnpike", "failed"), "{:.0f}", worst=True),
        Budget("reload-under-load", "KiB of growth after the first tenth", 1024, field("turnpike", "growth_kib"),
               "{:.0f}"),
        Budget("changes-100k", "failed requests", 0, field("turnpike", "failed"), "{:.0f}", worst=True),
        Budget("changes-100k", "p99 with 100 changes a second, x without", 1.5, field("turnpike", "p99_ratio")),
        Budget("changes-100k", "ms to apply a change", 10, field("turnpike", "apply_ms"), worst=True),
        Budget("changes-100k", "bytes a route, the whole process", 1024,
               field("turnpike", "rss_kib", 1024 / ROUTES), "{:.0f}"),
        Budget("routes", "seconds to start with 100,000 routes", 2, field("turnpike-100k", "start_s")),
        Budget("routes", "bytes a route, the whole process", 1024, field("turnpike-100k", "rss_kib", 1024 / ROUTES),
               "{:.0f}"),
        Budget("expressions", "ns, a condition on method and path", 100, field(CONDITION, "ns"), "{:.0f}"),
        Budget("expressions", "ns, a key of consumer and header", 200, field(KEY, "ns"), "{:.0f}"),
        Budget("expressions", "calls of the heap, all together", 0, allocations, "{:.0f}"),
    ]


@dataclass(frozen=True)
class Verdict:
    budget: Budget
    value: float | None

    @property
    def met(self):
        return self.value is not None and self.value <= self.budget.limit


def median(values):
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def judge(results, scale):
    """A verdict for each budget whose case was run."""
    verdicts = []
    for budget in budgets(scale):
        if budget.case in results:
            values = [value for value in map(budget.value, results[budget.case]) if value is not None]
            verdicts.append(Verdict(budget, (max(values) if budget.worst and values else median(values))))
    return verdicts
