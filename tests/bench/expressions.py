"""The table of expressions: what micro_expr prints, as a case beside the others."""

import re
import subprocess

import machine
from report import table

NAME = "expressions"
LINE = re.compile(r"\s*([0-9.]+) ns\s+(\d+) allocations\s+(.*)")


def measure(build):
    """One round: {expression: record}."""
    program = build / "tests" / "bench" / "micro_expr"
    done = subprocess.run(["taskset", "-c", str(machine.SUBJECT_CORE), program], capture_output=True, text=True, check=True)
    found = [LINE.fullmatch(line) for line in done.stdout.splitlines()]
    return {line[3]: {"ns": float(line[1]), "allocations": int(line[2]), "invalid": []} for line in found if line}


def report(one_round):
    rows = [[f"`{source.replace('|', chr(92) + '|')}`", f"{record['ns']:.0f}", str(record["allocations"])]
            for source, record in one_round.items()]
    heading = "Nanoseconds of one evaluation with the exchange's arena, and calls of the heap in 600,000 of them."
    return f"### {NAME}\n\n{heading}\n\n" + table(["", "ns", "allocations"], rows) + "\n"
