"""What is measured: the cases, who takes part in each, and how much of it a run does."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass

API_KEY = "bench-key-0123456789abcdef"
JWT_SECRET = "a-secret-of-thirty-two-bytes-or-more"
ROUTES = 100_000
MIB = 1 << 20


@dataclass(frozen=True)
class Entrant:
    """One program with one configuration."""

    name: str
    kind: str  # turnpike, nginx, haproxy or minimal
    log: bool = False
    splice: bool = False
    routes: int = 0  # prefix routes beside the catch-all
    files: int = 0  # that the routes are spread over, as included ones; 0: all in the main file
    many_consumers: bool = False
    workers: int = 1


@dataclass(frozen=True)
class Case:
    name: str
    about: str
    entrants: tuple
    measure: str = "requests"  # requests, idle, resident, reload or changes
    connections: int = 64
    path: str = "/"
    answer_bytes: int = 1024
    upload_bytes: int = 0
    headers: tuple = ()  # of a good request
    checks: bool = False  # whoever checks must answer 401 to a request without these headers
    varies: str = ""  # "path" or "key": each request asks for another route, or comes from another consumer
    rate: int = 0  # requests a second for the latencies; 0: none
    mib: float = 0  # MiB a request, where the cost of a MiB is what counts
    trace: bool = False  # count system calls


@dataclass(frozen=True)
class Scale:
    """How long and how much."""

    rounds: int = 5
    seconds: float = 5
    pace_seconds: float = 3
    trace_seconds: float = 2
    idle_connections: int = 10_000
    consumers: int = 1_000_000
    reloads: int = 1_000
    reloads_of_peers: int = 100
    changes_seconds: float = 10


QUICK = Scale(rounds=2, seconds=2, pace_seconds=1, trace_seconds=1, consumers=100_000,
              reloads=100, reloads_of_peers=20, changes_seconds=3)


def token():
    """An HS256 token that is good for a day."""

    def encode(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    claims = {"sub": "bench", "exp": int(time.time()) + 86400}
    signed = encode(b'{"alg":"HS256","typ":"JWT"}') + b"." + encode(json.dumps(claims).encode())
    return (signed + b"." + encode(hmac.new(JWT_SECRET.encode(), signed, hashlib.sha256).digest())).decode()


def route_path(number):
    return f"/team-{number // 100:04d}/service-{number:06d}/"


def consumer_key(number):
    return f"key-{number:07d}-0123456789abcdef01234"


TURNPIKE = Entrant("turnpike", "turnpike", log=True)
NGINX, NGINX_LOG = Entrant("nginx", "nginx"), Entrant("nginx-log", "nginx", log=True)
HAPROXY, HAPROXY_LOG = Entrant("haproxy", "haproxy"), Entrant("haproxy-log", "haproxy", log=True)
MINIMAL, MINIMAL_SPLICE = Entrant("minimal", "minimal"), Entrant("minimal-splice", "minimal", splice=True)
BODIES = (MINIMAL, MINIMAL_SPLICE, NGINX_LOG, HAPROXY_LOG, TURNPIKE)

CASES = {
    case.name: case
    for case in [
        Case("plain", "1 KiB answers, nothing checked", (MINIMAL, NGINX, NGINX_LOG, HAPROXY, HAPROXY_LOG, TURNPIKE),
             rate=8_000, trace=True),
        Case("keyauth-ratelimit", "a key looked up and its calls counted; minimal and nginx-log check nothing",
             (MINIMAL, NGINX_LOG, HAPROXY_LOG, TURNPIKE), headers=(f"X-API-Key: {API_KEY}",), checks=True,
             rate=8_000, trace=True),
        Case("jwt-hs256", "a bearer token verified; minimal and nginx-log check nothing",
             (MINIMAL, NGINX_LOG, HAPROXY_LOG, TURNPIKE), headers=(f"Authorization: Bearer {token()}",), checks=True,
             rate=8_000, trace=True),
        Case("body-10m", "downloads of 10 MiB on 4 connections; CPU per MiB", BODIES, connections=4,
             path=f"/bytes/{10 * MIB}", answer_bytes=10 * MIB, mib=10),
        Case("upload-1m", "uploads of 1 MiB on 8 connections; CPU per MiB", BODIES, connections=8, upload_bytes=MIB,
             mib=1),
        Case("routes", "each request asks for another of 100,000 paths: one catch-all route, or a route for each",
             (Entrant("nginx-1", "nginx", log=True), Entrant("nginx-100k", "nginx", log=True, routes=ROUTES),
              Entrant("turnpike-1", "turnpike", log=True),
              Entrant("turnpike-100k", "turnpike", log=True, routes=ROUTES)),
             path=route_path(ROUTES - 1) + "x", varies="path"),
        Case("consumers-1m", "each request comes from another of a million consumers (--quick: 100,000), or from the only one",
             (Entrant("turnpike-1", "turnpike", log=True),
              Entrant("turnpike-many", "turnpike", log=True, many_consumers=True)),
             headers=(f"X-API-Key: {consumer_key(0)}",), checks=True, varies="key"),
        Case("idle-10k", "keep-alive connections that are idle after one request each", (NGINX, HAPROXY, TURNPIKE),
             measure="idle"),
        Case("two-workers-idle", "memory of all processes with two workers and nothing to do",
             (Entrant("nginx", "nginx", workers=2), Entrant("haproxy", "haproxy", workers=2),
              Entrant("turnpike", "turnpike", log=True, workers=2)), measure="resident"),
        Case("reload-under-load", "a changed file and SIGHUP over and over under full load", (NGINX_LOG, TURNPIKE),
             measure="reload"),
        Case("changes-100k", "one of 100,000 routes changed, 100 times a second, at a fixed rate of requests",
             (Entrant("turnpike", "turnpike", log=True, routes=ROUTES, files=1_000),), measure="changes",
             path=route_path(ROUTES - 1) + "x", rate=4_000),
    ]
}
