"""What the kernel knows: CPU time, memory and system calls of a tree of processes, and who else is using the machine."""

import contextlib
import os
import pathlib
import re
import resource
import signal
import subprocess
import time

SUBJECT_CORE, LOAD_CORE = 0, 1


def tree(root):
    """The process and all that descend from it."""
    below = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            below.setdefault(parent, []).append(int(path.parent.name))
    found = [root]
    for pid in found:
        found += below.get(pid, [])
    return found


def _read(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def _threads(pids):
    return [path for pid in pids for path in pathlib.Path(f"/proc/{pid}/task").glob("[0-9]*")]


def cpu_ns(pids):
    """CPU time of every thread: the first field of schedstat."""
    return sum(int((_read(thread / "schedstat") or "0").split()[0]) for thread in _threads(pids))


def memory_kib(pids, kind="Rss"):
    """Resident memory of the processes together; with "Pss" a page that several share counts once."""
    found = [re.search(rf"^{kind}:\s+(\d+)", _read(f"/proc/{pid}/smaps_rollup"), re.M) for pid in pids]
    return sum(int(match[1]) for match in found if match)


def peak_kib(pids):
    found = [re.search(r"^VmHWM:\s+(\d+)", _read(f"/proc/{pid}/status"), re.M) for pid in pids]
    return sum(int(match[1]) for match in found if match)


def busy_ns(core):
    """How long a core has not been idle, whoever used it."""
    fields = [int(field) for field in re.search(rf"^cpu{core} (.*)$", _read("/proc/stat"), re.M)[1].split()]
    return (sum(fields[:8]) - fields[3] - fields[4]) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def busy_share(seconds=1.0):
    """Share of both cores that is in use while we do nothing."""
    before = busy_ns(SUBJECT_CORE) + busy_ns(LOAD_CORE)
    time.sleep(seconds)
    return (busy_ns(SUBJECT_CORE) + busy_ns(LOAD_CORE) - before) / 1e9 / seconds / 2


def _all_traced(pids):
    return all(not re.search(r"^TracerPid:\s+0$", _read(thread / "status"), re.M) for thread in _threads(pids))


def count_system_calls(pids, report, load):
    """System calls by name while `load` runs, and what `load` returned."""
    attach = [word for pid in pids for word in ("-p", str(pid))]
    tracer = subprocess.Popen(["strace", "-c", "-f", "-o", str(report), *attach], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 5
        while not _all_traced(pids):
            if tracer.poll() is not None or time.monotonic() > deadline:
                return {}, None
            time.sleep(0.01)
        result = load()
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
        tracer.wait(20)
    rows = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", report.read_text(), re.M)
    return {name: int(calls) for calls, name in rows if name != "total"}, result


def prepare(files):
    """Keep this process and its children off the subject's core, and allow many open files."""
    os.sched_setaffinity(0, {LOAD_CORE})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for limits in ((files, max(files, hard)), (hard, hard)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            break
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < files:
        print(f"> Fewer than {files} open files are allowed here: idle-10k will fail.\n")


def description(turnpike):
    """On what and of what the figures are."""

    def first_line(*command):
        with contextlib.suppress(OSError):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            return (done.stdout + done.stderr).partition("\n")[0]
        return "missing"

    model = re.search(r"^model name\s*: (.*)$", _read("/proc/cpuinfo"), re.M)
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, {model[1] if model else os.uname().machine}, Linux {os.uname().release}",
        "turnpike": first_line(turnpike, "version"),
        "nginx": first_line("nginx", "-v"),
        "haproxy": first_line("haproxy", "-v"),
    }
