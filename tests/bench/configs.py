"""The configurations of all entrants: keep-alive on both sides, bodies streamed, no limit in the way.

Each function takes the subject (its case, entrant, ports, files and scale) and a generation, which changes the file for a reload.
"""

from cases import API_KEY, JWT_SECRET, consumer_key, route_path


def generation_path(generation):
    return f"/generation-{generation}"


# Turnpike

TURNPIKE_POLICIES = {
    "keyauth-ratelimit": ["key-auth: {}", "rate-limit: { limit: 1000000000, window: 1m, key: consumer.name }"],
    "jwt-hs256": [f'jwt: {{ keys: [{{ alg: HS256, secret: "{JWT_SECRET}" }}] }}'],
    "consumers-1m": ["key-auth: {}"],
}


def turnpike_consumers(subject):
    if subject.case.name == "keyauth-ratelimit":
        return [f'  bench: {{ keys: ["{API_KEY}"] }}']
    if subject.case.name == "consumers-1m":
        count = subject.scale.consumers if subject.entrant.many_consumers else 1
        return [f"  consumer-{i:07d}: {{ keys: [{consumer_key(i)}] }}" for i in range(count)]
    return []


def turnpike_routes(numbers, changed=None, generation=0):
    """A route for each number; the changed one has another path."""
    for i in numbers:
        path = route_path(i) + (f"generation-{generation}/" if i == changed else "")
        yield f'  route-{i}: {{ match: {{ path: "{path}*" }}, service: origin }}'


def turnpike_part(entrant, number, generation=0):
    """One of the included files; with a generation, its first route is changed."""
    size = entrant.routes // entrant.files
    first = number * size
    lines = turnpike_routes(range(first, first + size), first if generation else None, generation)
    return "\n".join(["routes:", *lines]) + "\n"


def turnpike(subject, generation):
    case, entrant = subject.case, subject.entrant
    lines = [
        f"workers: {entrant.workers}",
        f'data_dir: "{subject.data_dir}"',
        f'access_log: {{ path: "{subject.access_log}" }}',
        'admin: { address: "127.0.0.1:0" }',
        f'listeners: {{ main: {{ address: "127.0.0.1:{subject.port}" }} }}',
        f'services: {{ origin: {{ endpoints: ["http://127.0.0.1:{subject.origin_port}"] }} }}',
        "routes:",
        '  all: { match: { path: "/*" }, service: origin }',
    ]
    if case.measure == "reload":
        path = generation_path(generation)
        lines[-1] = '  root: { match: { path: "/" }, service: origin }'
        lines.append(f'  newest: {{ match: {{ path: "{path}" }}, service: origin }}')
    if entrant.files:
        lines.insert(0, f'include: ["{subject.folder}/part-*.yaml"]')
    else:
        lines += turnpike_routes(range(entrant.routes))
    policies = TURNPIKE_POLICIES.get(case.name)
    lines += ["policies:", *(f"  - {policy}" for policy in policies)] if policies else []
    consumers = turnpike_consumers(subject)
    lines += ["consumers:", *consumers] if consumers else []
    return "\n".join(lines) + "\n"


# nginx

NGINX = """user root;
worker_processes {workers};
worker_rlimit_nofile 40000;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 24000; }}
http {{
  access_log {access_log};
  client_max_body_size 64m;
  client_body_temp_path {folder}/nginx-1;
  proxy_temp_path {folder}/nginx-2;
  fastcgi_temp_path {folder}/nginx-3;
  uwsgi_temp_path {folder}/nginx-4;
  scgi_temp_path {folder}/nginx-5;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_request_buffering off;
  proxy_max_temp_file_size 0;
  upstream origin {{
    server 127.0.0.1:{origin_port};
    keepalive 256;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
{locations}
  }}
}}
"""


def nginx(subject, generation):
    # in sorted order, because nginx sorts them by insertion
    places = [*map(route_path, range(subject.entrant.routes)), "/"]
    others = []
    if subject.case.measure == "reload":
        places, others = ["= /", f"= {generation_path(generation)}"], ["    location / { return 404; }"]
    locations = [f"    location {place} {{ proxy_pass http://origin; }}" for place in places] + others
    return NGINX.format(
        workers=subject.entrant.workers, folder=subject.folder, port=subject.port, origin_port=subject.origin_port,
        access_log=subject.access_log if subject.entrant.log else "off", locations="\n".join(locations))


# HAProxy

HAPROXY = """global
  nbthread {workers}
  no strict-limits
  maxconn 11500
{log_to}
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 60s
  timeout http-keep-alive 600s
  http-reuse always
{log_what}
frontend main
  bind 127.0.0.1:{port} backlog 4096
{checks}  default_backend origin
backend origin
  server origin 127.0.0.1:{origin_port}
"""

HAPROXY_CHECKS = {
    "keyauth-ratelimit": """  http-request set-var(txn.who) req.hdr(x-api-key),map({map})
  http-request deny deny_status 401 unless {{ var(txn.who) -m found }}
  stick-table type string len 64 size 100k expire 1m store http_req_rate(1m)
  http-request track-sc0 var(txn.who)
  http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 1000000000 }}
""",
    "jwt-hs256": """  http-request set-var(txn.token) http_auth_bearer
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_header_query('$.alg') -m str HS256 }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_verify("HS256","{secret}") -m int 1 }}
  http-request set-var(txn.end) var(txn.token),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 if {{ var(txn.end),sub(txn.now) -m int lt 0 }}
""",
}


def haproxy(subject, generation):
    del generation  # it is not in the reload case
    keys = subject.folder / "haproxy.map"
    keys.write_text(f"{API_KEY} bench\n")
    log = subject.entrant.log
    return HAPROXY.format(
        workers=subject.entrant.workers, port=subject.port, origin_port=subject.origin_port,
        log_to="  log stdout format raw local0" if log else "", log_what="  log global\n  option httplog" if log else "",
        checks=HAPROXY_CHECKS.get(subject.case.name, "").format(map=keys, secret=JWT_SECRET))


WRITERS = {"turnpike": turnpike, "nginx": nginx, "haproxy": haproxy}
