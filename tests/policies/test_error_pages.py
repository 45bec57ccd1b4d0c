"""error-pages: error answers in words and looks of one's own, chosen by status, kind of error and Accept."""

from __future__ import annotations

from typing import Any

import pytest

from support.binary import turnpike
from support.client import request_bytes
from support.gateway import Gateway
from support.message import Request
from support.origin import Origin, OriginConnection

HTML = {"body": "<h1>${response.status}</h1>"}
JSON = {"content_type": "application/json", "body": '{"code": ${response.status}}'}
TEXT = {"content_type": "text/plain", "body": "text"}
PROBLEM = "application/problem+json"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def load(gateway: Gateway, *pages: dict[str, Any], more: list[Any] | None = None, origin: bool = False,
         entry: dict[str, Any] | None = None, **parts: Any) -> None:
    """The policy for all requests, `more` on the route; a route /refused answers 403 without a body."""
    routes = {"default": {"match": {"path": "/a/*"}, "policies": more or []},
              "refused": {"match": {"path": "/refused"}, "respond": {"status": 403}}}
    gateway.load(gateway.full_config(routes=routes, **parts)
                 | {"policies": [{"error-pages": {"pages": list(pages), "origin": origin}, **(entry or {})}]})


def kind(gateway: Gateway, accept: str | None, target: str = "/none") -> str:
    headers = {} if accept is None else {"Accept": accept}
    return gateway.get(target, headers=headers).headers["Content-Type"].partition(";")[0]


# --- which page ---


def test_a_page_replaces_the_problem_document(gateway: Gateway) -> None:
    load(gateway, HTML)
    response = gateway.get("/none")
    assert (response.status, response.text) == (404, "<h1>404</h1>")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Content-Length"] == str(len(response.body))


@pytest.mark.parametrize("status, there", [(404, True), ("404", True), ("4xx", True), ("4XX", True), ([500, 404], True),
                                           ("5xx", False), (403, False), ([403, "5xx"], False), ([], True)])
def test_the_status_chooses(gateway: Gateway, status: Any, there: bool) -> None:
    load(gateway, {**HTML, "status": status})
    assert kind(gateway, None) == ("text/html" if there else PROBLEM)


@pytest.mark.parametrize("errors, there", [("no-route", True), (["policy-refused", "no-route"], True), ("policy-refused", False)])
def test_the_kind_of_error_chooses(gateway: Gateway, errors: Any, there: bool) -> None:
    load(gateway, {**HTML, "errors": errors})
    assert kind(gateway, None) == ("text/html" if there else PROBLEM)


def test_status_and_errors_must_both_fit(gateway: Gateway) -> None:
    load(gateway, {**HTML, "status": 404, "errors": "policy-refused"}, {**TEXT, "status": "4xx", "errors": "policy-refused"})
    assert kind(gateway, None) == PROBLEM
    assert gateway.get("/refused").text == "text"


@pytest.mark.parametrize("accept, expected", [
    (None, "text/html"),
    ("*/*", "text/html"),
    (BROWSER, "text/html"),
    ("text/*", "text/html"),
    ("TEXT/HTML", "text/html"),
    ("text/html;level=1", "text/html"),
    ("application/json", "application/json"),
    ("application/json, */*", "application/json"),
    ("text/html;q=0.4, application/json;q=0.5", "application/json"),
    ("text/html;q=0.5, application/json;q=0.5", "text/html"),
    ("text/html;q=0, */*", "application/json"),
    ("text/*;q=0.9, text/html;q=0.1, application/json ; Q=0.2", "application/json"),
    ("application/problem+json, text/html;q=0.9", PROBLEM),
    ("image/png", PROBLEM),
    ("text/html;q=0, application/*;q=0.000", PROBLEM),
    ("text/html;q=2, text/html;q=, text/html;q=0.1234, text/html;q=1.1", PROBLEM),
    ("", PROBLEM),
    (", ,;,/,text,*,text/,;q=1", PROBLEM),
])
def test_accept_chooses(gateway: Gateway, accept: str | None, expected: str) -> None:
    load(gateway, HTML, JSON)
    assert kind(gateway, accept) == expected


def test_several_lines_of_accept_are_one_list(gateway: Gateway) -> None:
    load(gateway, HTML, JSON)
    response = gateway.get("/none", headers=[("Accept", "text/html;q=0.1"), ("Accept", "application/json")])
    assert response.headers["Content-Type"] == "application/json"


def test_who_asks_for_json_by_name_keeps_the_problem_document(gateway: Gateway) -> None:
    load(gateway, HTML)
    assert kind(gateway, "application/json, text/plain, */*") == PROBLEM
    assert kind(gateway, "application/json;q=0.1, */*;q=0.2") == "text/html"


def test_a_page_for_any_client_comes_last(gateway: Gateway) -> None:
    load(gateway, {**TEXT, "accept": "*/*"}, HTML)
    assert kind(gateway, BROWSER) == "text/html"
    assert kind(gateway, "application/json") == "text/plain"
    assert kind(gateway, "image/png") == "text/plain"


def test_accept_may_name_another_type_than_the_page_has(gateway: Gateway) -> None:
    load(gateway, {**JSON, "content_type": "application/vnd.a+json", "accept": "application/json"})
    assert kind(gateway, "application/json") == "application/vnd.a+json"
    assert kind(gateway, "application/vnd.a+json") == PROBLEM


def test_the_first_of_equal_pages_is_taken(gateway: Gateway) -> None:
    load(gateway, {"status": 404, "body": "one"}, {"status": "4xx", "body": "two"}, {"body": "three"})
    assert gateway.get("/none").text == "one"
    assert gateway.get("/refused").text == "two"


# --- what the answer keeps ---


def test_fields_of_other_policies_are_kept(gateway: Gateway) -> None:
    load(gateway, {**HTML, "headers": {"Cache-Control": "no-store", "X-Path": "${request.path}"}},
         more=[{"request-id": {}}, {"key-auth": {}}])
    response = gateway.get("/a/b", headers={"X-Request-ID": "abc"})
    assert (response.status, response.text) == (401, "<h1>401</h1>")
    assert "WWW-Authenticate" in response.headers
    assert response.headers["X-Request-ID"] == gateway.access_log()[0]["request_id"]
    assert (response.headers["Cache-Control"], response.headers["X-Path"]) == ("no-store", "/a/b")


def test_a_limit_says_when_to_come_back(gateway: Gateway) -> None:
    load(gateway, HTML, more=[{"rate-limit": {"limit": 1, "window": "1h"}}])
    gateway.get("/a/b")
    response = gateway.get("/a/b")
    assert (response.status, response.text) == (429, "<h1>429</h1>")
    assert int(response.headers["Retry-After"]) > 0


def test_the_page_knows_the_request(gateway: Gateway) -> None:
    load(gateway, {"content_type": "text/plain", "body": "${response.status} ${error} ${request.id} ${route.name}"})
    status, error, request_id, *_ = gateway.get("/none").text.split(" ")
    logged = gateway.access_log()[0]
    assert (status, error, request_id) == ("404", "no-route", logged["request_id"])
    assert (logged["status"], logged["error"]) == (404, "no-route")


@pytest.mark.parametrize("target, page, status", [("/a/b", "502", 502), ("/refused", "403", 403)])
def test_errors_of_all_kinds_have_pages(gateway: Gateway, origin: Origin, target: str, page: str, status: int) -> None:
    origin.reply_raw(b"nonsense", close=True)
    load(gateway, HTML)
    response = gateway.get(target)
    assert (response.status, response.text) == (status, f"<h1>{page}</h1>")


def test_head_gets_the_head_of_the_page(gateway: Gateway) -> None:
    load(gateway, HTML)
    with gateway.connect() as client:
        response = client.request("HEAD", "/none")
        assert (response.status, response.headers["Content-Length"], response.body) == (404, "12", b"")
        assert client.get("/none").text == "<h1>404</h1>"


def test_the_answer_varies_where_there_is_a_page(gateway: Gateway) -> None:
    load(gateway, {**HTML, "status": 404})
    assert gateway.get("/none").headers["Vary"] == "Accept"
    assert gateway.get("/none", headers={"Accept": "image/png"}).headers["Vary"] == "Accept"
    assert "Vary" not in gateway.get("/refused").headers
    assert "Vary" not in gateway.get("/a/b").headers


def test_what_was_written_on_purpose_stays(gateway: Gateway) -> None:
    load(gateway, HTML, more=[{"respond": {"status": 410, "body": "gone"}}])
    assert gateway.get("/a/b").text == "gone"
    load(gateway, HTML, more=[{"error-pages": {"pages": [TEXT]}, "id": "inner"}, {"key-auth": {}}])
    assert gateway.get("/a/b").text == "text"


def test_an_answer_that_is_no_error_stays(gateway: Gateway, origin: Origin) -> None:
    load(gateway, HTML, origin=True)
    for status in (200, 302, 304):
        origin.reply(status, body=b"")
        assert gateway.get("/a/b").status == status


# --- escaping ---

ATTACK = "/<script>alert(\"1\")&'"
ESCAPED = "&lt;script&gt;alert(&quot;1&quot;)&amp;&#39;"


@pytest.mark.parametrize("content_type", ["text/html", "TEXT/HTML; charset=utf-8", "application/xhtml+xml", "text/xml"])
def test_values_are_escaped_in_html(gateway: Gateway, content_type: str) -> None:
    load(gateway, {"content_type": content_type, "accept": "*/*", "body": "<b title=\"${request.headers.a}\">${request.headers['a']}</b>"})
    text = gateway.get("/none", headers={"A": ATTACK}).text
    assert text == f"<b title=\"/{ESCAPED}\">/{ESCAPED}</b>"


def test_a_page_that_is_one_value_is_escaped_too(gateway: Gateway) -> None:
    load(gateway, {"body": "${request.headers.a}"})
    assert gateway.get("/none", headers={"A": ATTACK}).text == "/" + ESCAPED


def test_values_are_escaped_in_json(gateway: Gateway) -> None:
    load(gateway, {"content_type": "application/x+json", "accept": "*/*", "body": '{"a": "${request.headers.a}", "b": ${response.status}}'})
    assert gateway.get("/none", headers={"A": ATTACK + "\\\t"}).json() == {"a": ATTACK + "\\", "b": 404}


def test_plain_text_is_not_escaped(gateway: Gateway) -> None:
    load(gateway, {"content_type": "text/plain", "body": "${request.headers.a}"})
    assert gateway.get("/none", headers={"A": ATTACK}).text == ATTACK


# --- answers of the service ---


def test_answers_of_the_service_stay_unless_said(gateway: Gateway, origin: Origin) -> None:
    origin.reply(500, body=b"trace of the stack")
    load(gateway, HTML)
    assert gateway.get("/a/b").text == "trace of the stack"
    load(gateway, HTML, origin=True)
    response = gateway.get("/a/b")
    assert (response.status, response.text) == (500, "<h1>500</h1>")


def test_fields_of_the_service_are_kept_but_for_those_about_its_body(gateway: Gateway, origin: Origin) -> None:
    origin.reply(401, [("WWW-Authenticate", "Basic realm=\"x\""), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("ETag", "\"e\""),
                       ("Content-Encoding", "gzip"), ("Content-Language", "de"), ("Content-Security-Policy", "default-src 'self'"),
                       ("Vary", "Origin"), ("Content-Type", "application/x")], b"not gzip")
    load(gateway, {**HTML, "headers": {"X-Was": "${response.headers['content-type']}"}}, origin=True)
    response = gateway.get("/a/b")
    names = response.headers.names()
    assert response.headers["WWW-Authenticate"] == "Basic realm=\"x\""
    assert response.headers.all("Set-Cookie") == ["a=1", "b=2"]
    assert response.headers["Content-Security-Policy"] == "default-src 'self'"
    assert response.headers.all("Vary") == ["Origin", "Accept"]
    assert response.headers["X-Was"] == "application/x"
    assert not {"etag", "content-encoding", "content-language"} & set(names)
    assert response.headers.all("Content-Type") == ["text/html; charset=utf-8"]


@pytest.mark.parametrize("body", [b"x" * 3_000_000, [b"one", b"two"] * 1000, b""], ids=["length", "chunks", "empty"])
def test_the_body_of_the_service_is_dropped(gateway: Gateway, origin: Origin, body: Any) -> None:
    origin.reply(503, {"A": "is"}, body)
    load(gateway, {"content_type": "text/plain", "body": "${response.headers.a} down"}, origin=True)
    with gateway.connect() as client:
        for _ in range(3):
            assert client.get("/a/b").text == "is down"
    origin.reply(200, body=b"fine")
    assert gateway.get("/a/b").text == "fine"
    gateway.wait_for_metric("turnpike_requests_in_flight", 0)


def test_errors_do_not_fit_answers_of_the_service(gateway: Gateway, origin: Origin) -> None:
    origin.reply(502, body=b"mine")
    load(gateway, {**HTML, "errors": "origin-closed"}, {**TEXT, "status": 502}, origin=True)
    assert gateway.get("/a/b").text == "text"


def test_json_of_the_service_is_for_who_asks_for_it(gateway: Gateway, origin: Origin) -> None:
    origin.reply(422, {"Content-Type": "application/json"}, b"{}")
    load(gateway, HTML, origin=True)
    assert gateway.get("/a/b", headers={"Accept": "application/json, */*"}).text == "{}"
    assert gateway.get("/a/b", headers={"Accept": BROWSER}).text == "<h1>422</h1>"


def test_a_page_may_come_before_the_request_is_whole(gateway: Gateway, origin: Origin) -> None:
    """The service refuses at the head: nobody reads the rest, so the connection is not said to be kept."""
    def refuse(request: Request, connection: OriginConnection) -> None:
        connection.reply(413, body=b"too much")
    origin.early = True
    origin.handler = refuse
    load(gateway, HTML, origin=True)
    with gateway.connect() as client:
        data = request_bytes("POST", "/a/b", [("Host", "x")], b"y" * 1000)
        client.methods.append("POST")
        client.send(data[:-500])
        response = client.read_response()
        assert (response.status, response.text) == (413, "<h1>413</h1>")
        assert response.headers["Connection"] == "close"


# --- failures ---


@pytest.mark.parametrize("on_error, status, content_type", [("deny", 503, PROBLEM), ("allow", 404, PROBLEM)])
@pytest.mark.parametrize("page", [{"body": "${request.headers.absent}"}, {"body": "x", "headers": {"X-A": "${request.query.a}"}}],
                         ids=["body", "header"])
def test_a_page_that_cannot_be_written(gateway: Gateway, on_error: str, status: int, content_type: str, page: dict[str, Any]) -> None:
    load(gateway, page, entry={"on_error": on_error})
    response = gateway.get("/none?a=%0d%0ab")
    assert (response.status, response.headers["Content-Type"]) == (status, content_type)
    assert response.json()["status"] == status
    assert "X-A" not in response.headers


BAD = [
    ("{}", "7:22", "`pages` is missing"),
    ("{ pages: [] }", "7:31", "at least"),
    ("{ pages: [{ status: 404 }] }", "7:32", "`body` is missing"),
    ("{ pages: [{ body: a, status: 200 }] }", "7:51", "from 400 to 599"),
    ("{ pages: [{ body: a, status: 6xx }] }", "7:51", "from 400 to 599"),
    ("{ pages: [{ body: a, errors: no-rout }] }", "7:51", "did you mean `no-route`?"),
    ("{ pages: [{ body: a, accept: html }] }", "7:51", "such as `text/html`"),
    ("{ pages: [{ body: a, accept: \"text/html;q=1\" }] }", "7:51", "without parameters"),
    ("{ pages: [{ body: a, content_type: html }] }", "7:57", "such as `text/html;"),
    ("{ pages: [{ body: a, content_type: \"a/b\\r\\nc\" }] }", "7:57", "such as `text/html;"),
    ("{ pages: [{ body: a }, { body: a, headers: { Content-Type: a/b } }] }", "7:67", "`content_type`"),
    ("{ pages: [{ body: a, headers: { Content-Length: 1 } }] }", "7:54", "the gateway alone writes it"),
    ("{ pages: [{ body: \"${reqest.id}\" }] }", "7:43", "did you mean"),
    ("{ page: [] }", "7:24", "did you mean `pages`?"),
]


@pytest.mark.parametrize("config, place, said", BAD, ids=[config for config, _, _ in BAD])
def test_a_bad_configuration_is_reported_at_its_place(gateway: Gateway, config: str, place: str, said: str) -> None:
    gateway.write("listeners: { main: { address: \"127.0.0.1:0\" } }\n"
                  "services: { a: { endpoints: [\"http://127.0.0.1:1\"] } }\n"
                  f"routes:\n  r:\n    service: a\n    policies:\n      - error-pages: {config}\n")
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 1
    assert f"turnpike.yaml:{place}: error:" in done.stderr, done.stderr
    assert said in done.stderr
