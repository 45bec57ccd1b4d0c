"""The loads: each runs against a subject and says what became of its requests."""

import contextlib
import json
import re
import signal
import socket
import subprocess
from dataclasses import dataclass

from cases import ROUTES

UPLOAD = 'wrk.method = "POST"\nwrk.body = string.rep("x", %d)\n'

# 10,000 requests made before the start, each STRIDE (a prime) further in what there is: neighbours in time are strangers in memory.
VARIED = """local requests, at = {}, 0
init = function()
  for i = 1, 10000 do
    local n = (i * 7919) %% %d
    requests[i] = %s
  end
end
request = function()
  at = at %% #requests + 1
  return requests[at]
end
"""
OTHER_PATH = 'wrk.format("GET", string.format("/team-%04d/service-%06d/x", math.floor(n / 100), n))'
OTHER_KEY = 'wrk.format("GET", nil, {["X-API-Key"] = string.format("key-%07d-0123456789abcdef01234", n)})'


@dataclass
class Outcome:
    answers: int = 0  # whatever their status
    failed: int = 0  # of them not 2xx, and connections that broke
    why: str = ""


def script(subject):
    case = subject.case
    if case.upload_bytes:
        return UPLOAD % case.upload_bytes
    if case.varies == "path":
        return VARIED % (ROUTES, OTHER_PATH)
    if case.varies == "key":
        return VARIED % (subject.scale.consumers if subject.entrant.many_consumers else 1, OTHER_KEY)
    return None


def wrk_command(subject, seconds):
    command = ["wrk", "-t1", f"-c{subject.case.connections}", f"-d{seconds:.0f}s", "--timeout", "10s"]
    text = script(subject)
    if text:
        path = subject.folder / "wrk.lua"
        path.write_text(text)
        command += ["-s", str(path)]
    if subject.case.varies != "key":
        command += [word for field in subject.case.headers for word in ("-H", field)]
    return [*command, f"http://127.0.0.1:{subject.port}{subject.case.path}"]


def read_wrk(output):
    total = re.search(r"(\d+) requests in", output)
    if not total:
        return Outcome(0, 1, "wrk gave no result")
    broken = re.search(r"Socket errors: (connect \d+, read \d+, write \d+, timeout \d+)", output)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    outcome = Outcome(int(total[1]))
    if broken:
        outcome.failed += sum(int(number) for number in re.findall(r"\d+", broken[1]))
        outcome.why = f"broken connections: {broken[1]}"
    if refused:
        outcome.failed += int(refused[1])
        outcome.why = "; ".join(filter(None, [outcome.why, f"{refused[1]} answers not 2xx"]))
    return outcome


def closed_loop(subject, seconds):
    """As fast as the subject can, on the case's connections."""
    done = subprocess.run(wrk_command(subject, seconds), capture_output=True, text=True, timeout=seconds + 60, check=False)
    outcome = read_wrk(done.stdout)
    subject.answered += outcome.answers
    return outcome


@contextlib.contextmanager
def load_meanwhile(subject, seconds_max):
    """A closed loop for as long as the block runs; the outcome is filled in at its end."""
    outcome = Outcome()
    process = subprocess.Popen(wrk_command(subject, seconds_max), stdout=subprocess.PIPE, text=True)
    try:
        yield outcome
    finally:
        process.send_signal(signal.SIGINT)  # wrk then prints what it has
        result = read_wrk(process.communicate(timeout=30)[0])
        outcome.answers, outcome.failed, outcome.why = result.answers, result.failed, result.why
        subject.answered += outcome.answers


def fixed_rate(subject, seconds):
    """({"p50_us", "p99_us"}, outcome) at the case's rate."""
    case = subject.case
    command = [subject.ground.tools / "pacer", subject.port, case.rate, seconds, case.connections, case.path, *case.headers]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=seconds + 30, check=False)
    result = json.loads(done.stdout or '{"completed": 0, "failed": 1}')
    subject.answered += result["completed"]
    why = f"{result['failed']} requests failed at {case.rate}/s" if result["failed"] else ""
    latencies = {key: result.get(key) for key in ("p50_us", "p99_us")}
    return latencies, Outcome(result["completed"], result["failed"], why)


class IdleConnections:
    """Connections that have each had one whole answer and stay open."""

    def __init__(self, subject):
        self.subject = subject
        self.open = []
        self.request = f"GET {subject.case.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()

    def ask(self, connection):
        """False: the answer was not 200, or broke off."""
        try:
            connection.sendall(self.request)
            data = b""
            while len(data.partition(b"\r\n\r\n")[2]) < self.subject.case.answer_bytes:
                piece = connection.recv(65536)
                if not piece:
                    return False
                data += piece
        except OSError:
            return False
        self.subject.answered += 1
        return data.startswith(b"HTTP/1.1 200")

    def add(self, count):
        """How many of the new connections failed."""
        failed = 0
        for _ in range(count):
            self.open.append(socket.create_connection(("127.0.0.1", self.subject.port), 10))
            failed += not self.ask(self.open[-1])
        return failed

    def dead(self, every):
        """How many of a sample no longer answer."""
        return sum(not self.ask(connection) for connection in self.open[::every])

    def close(self):
        for connection in self.open:
            connection.close()
