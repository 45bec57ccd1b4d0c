"""The tables: Markdown for people."""

from budgets import median, ratio, record_of

NOISE = 0.05  # share of the subject's core that others may use before it is said


def show(value, form="{:.0f}"):
    return "-" if value is None else form.format(value)


def table(head, rows, left=()):
    """Columns of text, aligned: the first, the last and those of `left` to the left."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    left = {0, len(head) - 1, *left}

    def line(cells):
        return "| " + " | ".join(c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths))) + " |"

    rule = "|" + "|".join("-" * (w + 2) if i in left else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])


def remarks(records):
    bad = [record for record in records if record["invalid"]]
    said = []
    if bad:
        reasons = dict.fromkeys(why for record in bad for why in record["invalid"])
        said.append(f"INVALID {len(bad)} of {len(records)}: " + "; ".join(reasons).replace("|", "/").replace("\n", " "))
    noise = max((record.get("others", 0) for record in records), default=0)
    if noise > NOISE:
        said.append(f"others had up to {noise:.0%} of its core")
    said += dict.fromkeys(record["why"] for record in records if record.get("why"))
    return ", ".join(said)


def middle(rounds, name, key, form="{:.0f}", scale=1.0):
    values = [record_of(one, name) for one in rounds]
    found = median(record.get(key) for record in values if record)
    return show(None if found is None else found * scale, form)


def mib(rounds, name, key):
    return middle(rounds, name, key, "{:.1f}", 1 / 1024)


def requests(case, rounds, name):
    scale = 1 / (case.mib or 1)
    cpu = [record["cpu_us"] * scale for record in (record_of(one, name) for one in rounds) if record]
    calls = next((record["system_calls"] for record in (one[name] for one in rounds) if record.get("system_calls")), None)
    least = "minimal-splice" if case.mib else "minimal"
    return {
        "CPU µs/" + ("MiB" if case.mib else "request"): middle(rounds, name, "cpu_us", "{:.2f}", scale),
        "range": f"{min(cpu):.1f}-{max(cpu):.1f}" if cpu else "-",
        "x nginx-log": show(median(map(ratio(name, "nginx-log"), rounds)), "{:.2f}"),
        f"x {least}": show(median(map(ratio(name, least), rounds)), "{:.2f}"),
        "requests/s": middle(rounds, name, "per_s"),
        "p50 µs": middle(rounds, name, "p50_us"),
        "p99 µs": middle(rounds, name, "p99_us"),
        "calls/request": show(sum(calls.values()) if calls else None, "{:.2f}"),
        "start s": middle(rounds, name, "start_s", "{:.2f}"),
        "RSS MiB": mib(rounds, name, "rss_kib"),
        "PSS MiB": mib(rounds, name, "pss_kib"),
        "peak at start MiB": mib(rounds, name, "start_peak_kib"),
    }


def idle(case, rounds, name):
    return {"bytes/connection": middle(rounds, name, "bytes_each"), "connections": middle(rounds, name, "connections"),
            "RSS MiB before": mib(rounds, name, "before_kib"), "after": mib(rounds, name, "rss_kib")}


def resident(case, rounds, name):
    return {"RSS MiB": mib(rounds, name, "rss_kib"), "PSS MiB": mib(rounds, name, "pss_kib"),
            "processes": middle(rounds, name, "processes"), "start s": middle(rounds, name, "start_s", "{:.3f}")}


def reload(case, rounds, name):
    records = [one[name] for one in rounds]
    return {"reloads": sum(record.get("reloads", 0) for record in records),
            "failed requests": sum(record["failed"] for record in records),
            "requests/s": middle(rounds, name, "per_s"),
            "slowest reload s": middle(rounds, name, "slowest_reload_s", "{:.3f}"),
            "RSS MiB settled": mib(rounds, name, "settled_kib"), "after": mib(rounds, name, "rss_kib"),
            "processes": middle(rounds, name, "processes")}


def changes(case, rounds, name):
    records = [one[name] for one in rounds]
    return {"changes": sum(record.get("changes", 0) for record in records),
            "a second": middle(rounds, name, "changes_per_s"),
            "reloads": sum(record.get("reloads", 0) for record in records),
            "failed requests": sum(record["failed"] for record in records),
            "p99 µs without": middle(rounds, name, "p99_quiet_us"), "with": middle(rounds, name, "p99_us"),
            "x": middle(rounds, name, "p99_ratio", "{:.2f}"),
            "ms to read": middle(rounds, name, "read_ms", "{:.1f}"),
            "ms to apply": middle(rounds, name, "apply_ms", "{:.2f}"),
            "start s": middle(rounds, name, "start_s", "{:.2f}"), "RSS MiB": mib(rounds, name, "rss_kib")}


ROWS = {"requests": requests, "idle": idle, "resident": resident, "reload": reload, "changes": changes}


def case_report(case, rounds):
    """The heading and the table of one case; columns in which nobody has a figure are left out."""
    names = list(rounds[0])
    cells = {name: ROWS[case.measure](case, rounds, name) for name in names}
    columns = [column for column in cells[names[0]] if any(cells[name][column] != "-" for name in names)]
    rows = [[name, *(cells[name][column] for column in columns), remarks([one[name] for one in rounds])] for name in names]
    parts = [f"### {case.name}", f"{case.about[0].upper()}{case.about[1:]}.", table(["", *columns, "remarks"], rows)]
    lines = []
    for name in names:
        calls = next((one[name]["system_calls"] for one in rounds if one[name].get("system_calls")), {})
        shares = [f"{call} {count:.2f}" for call, count in sorted(calls.items(), key=lambda c: -c[1]) if count >= 0.01]
        if shares:
            lines.append(f"- system calls of {name}: " + ", ".join(shares))
    return "\n\n".join(parts + ["\n".join(lines)] * bool(lines)) + "\n"


def budget_report(verdicts):
    rows = [[verdict.budget.case, verdict.budget.what, f"{verdict.budget.limit:g}",
             show(verdict.value, verdict.budget.form), "met" if verdict.met else "not measured" if verdict.value is None
             else "MISSED"] for verdict in verdicts]
    return "### Budgets of Turnpike\n\n" + table(["case", "what", "at most", "measured", ""], rows, left=[1]) + "\n"
