"""How each kind of case is measured.

Every function takes a running subject and returns a record with "failed" (requests) and "invalid" (why the figures are worthless; empty if
they are not).
"""

import contextlib
import signal
import statistics
import subprocess
import threading
import time

import loads
import machine
from subjects import Subject

WARM_SECONDS = 1
IDLE_WARM = 200
RELOAD_PAUSE = 0.1  # seconds between reloads of a peer, whose end cannot be seen
RELOADS_SETTLE = 0.1  # share of the reloads after which memory must be flat
LIVE_SECONDS = 10
CHANGES_PER_SECOND = 100
CHANGES_BETWEEN_LOOKS = 25
CHANGE_STRIDE = 37  # files between one change and the next


def requests(subject, trace):
    case, scale = subject.case, subject.scale
    at_start = {"start_s": subject.start_seconds, "start_rss_kib": machine.memory_kib(subject.pids()),
                "start_peak_kib": machine.peak_kib(subject.pids())}
    outcomes = [loads.closed_loop(subject, WARM_SECONDS)]
    pids = subject.pids()
    cpu, busy, began = machine.cpu_ns(pids), machine.busy_ns(machine.SUBJECT_CORE), time.monotonic()
    timed = loads.closed_loop(subject, scale.seconds)
    cpu, busy = machine.cpu_ns(pids) - cpu, machine.busy_ns(machine.SUBJECT_CORE) - busy
    took = time.monotonic() - began
    record = at_start | {"cpu_us": cpu / 1000 / max(timed.answers, 1), "per_s": timed.answers / took,
                         "others": max(0, busy - cpu) / 1e9 / took}
    changed = [f"its processes changed during the run: {subject.complaint()}"] if subject.pids() != pids else []
    outcomes.append(timed)
    if case.rate:
        latencies, outcome = loads.fixed_rate(subject, scale.pace_seconds)
        record |= latencies
        outcomes.append(outcome)
    record |= {"rss_kib": machine.memory_kib(pids), "pss_kib": machine.memory_kib(pids, "Pss")}
    if case.trace and trace:
        calls, outcome = machine.count_system_calls(pids, subject.folder / "strace.txt",
                                                    lambda: loads.closed_loop(subject, scale.trace_seconds))
        if outcome and outcome.answers:
            record["system_calls"] = {name: count / outcome.answers for name, count in calls.items()}
    return record | {"failed": sum(o.failed for o in outcomes),
                     "invalid": [o.why for o in outcomes if o.failed] + changed + subject.faults()}


def idle(subject, trace):
    del trace
    count, connections = subject.scale.idle_connections, loads.IdleConnections(subject)
    try:
        failed = connections.add(IDLE_WARM)
        time.sleep(1)
        before = machine.memory_kib(subject.pids())
        failed += connections.add(count)
        time.sleep(1)
        after = machine.memory_kib(subject.pids())
        dead = connections.dead(every=50)
    finally:
        connections.close()
    reasons = [f"{failed} bad answers"] * bool(failed) + [f"{dead} of a sample of the connections were dead"] * bool(dead)
    return {"bytes_each": (after - before) * 1024 / count, "connections": count, "before_kib": before, "rss_kib": after,
            "failed": failed + dead, "invalid": reasons + subject.faults()}


def resident(subject, trace):
    del trace
    time.sleep(1)
    pids = subject.pids()
    return {"rss_kib": machine.memory_kib(pids), "pss_kib": machine.memory_kib(pids, "Pss"), "processes": len(pids),
            "start_s": subject.start_seconds, "failed": 0, "invalid": subject.faults()}


def reload(subject, trace):
    del trace
    turnpike = subject.entrant.kind == "turnpike"
    reloads = subject.scale.reloads if turnpike else subject.scale.reloads_of_peers
    failed_before = loads.closed_loop(subject, WARM_SECONDS).failed
    began = time.monotonic()
    with loads.load_meanwhile(subject, seconds_max=3600) as outcome:
        settled, slowest = _reload_often(subject, reloads)
    took = time.monotonic() - began
    live = _seconds_until_live(subject, reloads)
    time.sleep(1)
    after = machine.memory_kib(subject.pids())
    reasons = [] if live is not None else [f"the last configuration is not in force after {LIVE_SECONDS} s"]
    if turnpike and subject.status()["config"]["reloads"] < reloads:
        reasons.append(f"only {subject.status()['config']['reloads']} of {reloads} reloads happened")
    return {"reloads": reloads, "per_s": outcome.answers / took, "failed": outcome.failed + failed_before,
            "why": outcome.why, "settled_kib": settled, "rss_kib": after, "growth_kib": after - settled,
            "slowest_reload_s": slowest, "processes": len(subject.pids()), "invalid": reasons + subject.faults()}


def _reload_often(subject, reloads):
    """Memory once it has settled, and the slowest reload of Turnpike in seconds."""
    settled, slowest = 0, None
    for generation in range(1, reloads + 1):
        subject.write_config(generation)
        began = time.monotonic()
        subject.process.send_signal(signal.SIGHUP)
        if subject.entrant.kind == "turnpike":
            _wait_for_reload(subject, generation)
            slowest = max(slowest or 0, time.monotonic() - began)
        else:
            time.sleep(RELOAD_PAUSE)
        if generation == max(1, round(reloads * RELOADS_SETTLE)):
            settled = machine.memory_kib(subject.pids())
    return settled, slowest


def _wait_for_reload(subject, generation):
    deadline = time.monotonic() + LIVE_SECONDS
    while time.monotonic() < deadline:
        config = subject.status()["config"]
        if config["reloads"] + config["failures"] >= generation:
            return
        time.sleep(0.005)


def _seconds_until_live(subject, generation):
    """Until the newest route answers and the one before it is gone; None: not in time."""
    began = time.monotonic()
    while time.monotonic() - began < LIVE_SECONDS:
        with contextlib.suppress(OSError):
            newest, old = (subject.ask(f"/generation-{number}")[0] for number in (generation, generation - 1))
            if (newest, old) == (200, 404):
                return time.monotonic() - began
        time.sleep(0.01)
    return None


def changes(subject, trace):
    """Latencies without and with changes, as many before as after; and how long the slowest change took to apply."""
    del trace
    seconds, every = subject.scale.changes_seconds, 1 / CHANGES_PER_SECOND
    closed = loads.closed_loop(subject, WARM_SECONDS)
    before, first = loads.fixed_rate(subject, seconds)
    reloads = subject.status()["config"]["reloads"]
    stop, seen, made = threading.Event(), [], 0

    def change():
        nonlocal made
        due = time.monotonic()
        while not stop.wait(max(0, due - time.monotonic())):
            made += 1
            subject.write_part(made * CHANGE_STRIDE % subject.entrant.files, generation=made)
            subject.process.send_signal(signal.SIGHUP)
            if made % CHANGES_BETWEEN_LOOKS == 0:
                seen.append(subject.status()["config"])
            due += every

    writer = threading.Thread(target=change)
    writer.start()
    try:
        during, second = loads.fixed_rate(subject, seconds)
    finally:
        stop.set()
        writer.join()
    after, third = loads.fixed_rate(subject, seconds)
    quiet = statistics.mean([before["p99_us"] or 0, after["p99_us"] or 0])
    done = subject.status()["config"]
    outcomes = [closed, first, second, third]
    reasons = [f"{done['failures']} changes were refused"] * bool(done["failures"])
    return {"changes": made, "changes_per_s": made / seconds, "reloads": done["reloads"] - reloads,
            "p99_quiet_us": quiet, "p99_us": during["p99_us"], "p99_ratio": during["p99_us"] / quiet if quiet else None,
            "read_ms": max(config["read_ms"] for config in seen), "apply_ms": max(config["apply_ms"] for config in seen),
            "start_s": subject.start_seconds, "rss_kib": machine.memory_kib(subject.pids()),
            "failed": sum(o.failed for o in outcomes), "why": "; ".join(o.why for o in outcomes if o.why),
            "invalid": reasons + subject.faults()}


MEASURES = {"requests": requests, "idle": idle, "resident": resident, "reload": reload, "changes": changes}


def measure(ground, case, entrant, scale, trace):
    """Start the entrant, measure it, stop it. Whatever goes wrong is in the record."""
    try:
        subject = Subject(ground, case, entrant, scale)
    except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        return {"failed": 0, "invalid": [f"did not start: {error}"]}
    try:
        return MEASURES[case.measure](subject, trace)
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        return {"failed": 1, "invalid": [f"{type(error).__name__}: {error}; {subject.last_words()}"]}
    finally:
        subject.close()
