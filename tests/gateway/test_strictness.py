"""What is ambiguous or malformed is refused, on both sides, so that nobody reads a message otherwise than the gateway."""

from __future__ import annotations

import socket
import threading

import pytest

from support.client import request_bytes
from support.gateway import Gateway
from support.message import Malformed, Reader, Request, Truncated, read_request_body, read_request_head
from support.origin import Origin, OriginConnection, response_bytes

HOST = b"Host: gateway.test\r\n"


def head(fields: bytes, line: bytes = b"POST / HTTP/1.1") -> bytes:
    return line + b"\r\n" + HOST + fields + b"\r\n"


def chunks(raw: bytes) -> bytes:
    return head(b"Transfer-Encoding: chunked\r\n") + raw


BAD_REQUESTS: dict[str, bytes] = {
    # framing
    "length-and-coding": head(b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
    "coding-and-length": head(b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n") + b"0\r\n\r\n",
    "two-different-lengths": head(b"Content-Length: 3\r\nContent-Length: 4\r\n") + b"abcd",
    "list-of-different-lengths": head(b"Content-Length: 3, 4\r\n") + b"abcd",
    "length-with-plus": head(b"Content-Length: +3\r\n") + b"abc",
    "length-with-minus": head(b"Content-Length: -3\r\n") + b"abc",
    "length-with-inner-space": head(b"Content-Length: 3 3\r\n") + b"abc",
    "length-empty": head(b"Content-Length:\r\n"),
    "length-hexadecimal": head(b"Content-Length: 0x3\r\n") + b"abc",
    "length-with-letters": head(b"Content-Length: 3a\r\n") + b"abc",
    "length-decimal-point": head(b"Content-Length: 3.0\r\n") + b"abc",
    "length-over-63-bits": head(b"Content-Length: 9223372036854775808\r\n") + b"abc",
    "length-over-64-bits": head(b"Content-Length: 18446744073709551619\r\n") + b"abc",
    "length-of-many-digits": head(b"Content-Length: " + b"9" * 60 + b"\r\n") + b"abc",
    "length-unicode-digit": head(b"Content-Length: \xd9\xa3\r\n") + b"abc",
    "coding-empty": head(b"Transfer-Encoding:\r\n"),
    "coding-twice-chunked": head(b"Transfer-Encoding: chunked, chunked\r\n") + b"0\r\n\r\n",
    "coding-in-two-fields": head(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
    "coding-misspelt-vertical-tab": head(b"Transfer-Encoding: \x0bchunked\r\n") + b"0\r\n\r\n",
    "coding-quoted": head(b'Transfer-Encoding: "chunked"\r\n') + b"0\r\n\r\n",
    "coding-with-parameter": head(b"Transfer-Encoding: chunked;a=b\r\n") + b"0\r\n\r\n",
    "coding-from-an-old-client": head(b"Transfer-Encoding: chunked\r\n", b"POST / HTTP/1.0") + b"0\r\n\r\n",
    # lines
    "bare-line-feed-after-request-line": b"GET / HTTP/1.1\n" + HOST + b"\r\n",
    "bare-line-feed-after-a-field": b"GET / HTTP/1.1\r\nHost: gateway.test\nX: y\r\n\r\n",
    "bare-line-feed-at-the-end": b"GET / HTTP/1.1\r\n" + HOST + b"\n",
    "bare-carriage-return-in-a-value": head(b"X: a\rb\r\n"),
    "bare-carriage-return-for-a-line-end": b"GET / HTTP/1.1\rHost: gateway.test\r\r",
    "doubled-carriage-return": b"GET / HTTP/1.1\r\r\n" + HOST + b"\r\n",
    "folded-field": head(b"X: a\r\n b\r\n"),
    "folded-with-tab": head(b"X: a\r\n\tb\r\n"),
    "space-before-the-first-field": b"GET / HTTP/1.1\r\n " + HOST + b"\r\n",
    "space-before-colon": head(b"X : y\r\n"),
    "tab-before-colon": head(b"X\t: y\r\n"),
    "length-with-space-before-colon": head(b"Content-Length : 3\r\n") + b"abc",
    "field-without-colon": head(b"X\r\n"),
    "field-without-name": head(b": y\r\n"),
    "name-with-space": head(b"X Y: z\r\n"),
    "name-with-control-byte": head(b"X\x01: y\r\n"),
    "name-with-high-byte": head(b"X\xe9: y\r\n"),
    "name-with-slash": head(b"X/Y: z\r\n"),
    "nul-in-a-name": head(b"X\0: y\r\n"),
    "nul-in-a-value": head(b"X: a\0b\r\n"),
    "control-byte-in-a-value": head(b"X: a\x01b\r\n"),
    "delete-in-a-value": head(b"X: a\x7fb\r\n"),
    "escape-in-a-value": head(b"X: a\x1b[2Jb\r\n"),
    # request line
    "method-empty": head(b"", b" / HTTP/1.1"),
    "method-with-colon": head(b"", b"GE:T / HTTP/1.1"),
    "method-with-brackets": head(b"", b"G[]T / HTTP/1.1"),
    "method-with-high-byte": head(b"", b"G\xc9T / HTTP/1.1"),
    "two-spaces-before-target": head(b"", b"GET  / HTTP/1.1"),
    "two-spaces-before-version": head(b"", b"GET /  HTTP/1.1"),
    "tab-for-space": head(b"", b"GET\t/ HTTP/1.1"),
    "space-at-the-end": head(b"", b"GET / HTTP/1.1 "),
    "space-in-target": head(b"", b"GET /a b HTTP/1.1"),
    "target-missing": head(b"", b"GET HTTP/1.1"),
    "target-without-slash": head(b"", b"GET a/b HTTP/1.1"),
    "target-with-fragment": head(b"", b"GET /a#b HTTP/1.1"),
    "target-with-control-byte": head(b"", b"GET /a\x01 HTTP/1.1"),
    "target-with-nul": head(b"", b"GET /a\0 HTTP/1.1"),
    "target-with-high-byte": head(b"", b"GET /\xe9 HTTP/1.1"),
    "target-with-quote": head(b"", b'GET /"a" HTTP/1.1'),
    "target-with-angle-bracket": head(b"", b"GET /<a> HTTP/1.1"),
    "target-with-backslash": head(b"", b"GET /a\\b HTTP/1.1"),
    "target-star-with-get": head(b"", b"GET * HTTP/1.1"),
    "target-with-user": b"GET http://user@gateway.test/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "target-with-bad-percent": head(b"", b"GET /%zz HTTP/1.1"),
    "target-with-short-percent": head(b"", b"GET /a%2 HTTP/1.1"),
    "target-with-encoded-nul": head(b"", b"GET /a%00b HTTP/1.1"),
    "target-with-encoded-line-break": head(b"", b"GET /a%0d%0aX:%20y HTTP/1.1"),
    "target-of-another-scheme": b"GET ftp://gateway.test/ HTTP/1.1\r\n" + HOST + b"\r\n",
    # host
    "host-missing": b"GET / HTTP/1.1\r\n\r\n",
    "host-twice": b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "host-twice-different": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "host-list": b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "host-with-space": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "host-with-slash": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "host-with-user": b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "host-with-question-mark": b"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n",
    "host-with-bad-port": b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
    "host-with-big-port": b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n",
    "host-with-two-ports": b"GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n",
    "host-open-bracket": b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "host-with-high-byte": b"GET / HTTP/1.1\r\nHost: \xe9\r\n\r\n",
    # chunks
    "chunk-size-empty": chunks(b"\r\nabc\r\n0\r\n\r\n"),
    "chunk-size-not-hexadecimal": chunks(b"g\r\nabc\r\n0\r\n\r\n"),
    "chunk-size-with-prefix": chunks(b"0x3\r\nabc\r\n0\r\n\r\n"),
    "chunk-size-with-plus": chunks(b"+3\r\nabc\r\n0\r\n\r\n"),
    "chunk-size-with-minus": chunks(b"-3\r\nabc\r\n0\r\n\r\n"),
    "chunk-size-with-leading-space": chunks(b" 3\r\nabc\r\n0\r\n\r\n"),
    "chunk-size-with-trailing-space": chunks(b"3 \r\nabc\r\n0\r\n\r\n"),
    "chunk-size-over-64-bits": chunks(b"10000000000000003\r\nabc\r\n0\r\n\r\n"),
    "chunk-size-of-64-bits": chunks(b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
    "chunk-size-over-63-bits": chunks(b"8000000000000000\r\nabc\r\n0\r\n\r\n"),
    "chunk-size-of-many-zeros": chunks(b"0" * 40 + b"3\r\nabc\r\n0\r\n\r\n"),
    "chunk-size-with-underscore": chunks(b"1_0\r\n" + b"a" * 16 + b"\r\n0\r\n\r\n"),
    "chunk-size-bare-line-feed": chunks(b"3\nabc\r\n0\r\n\r\n"),
    "chunk-data-bare-line-feed": chunks(b"3\r\nabc\n0\r\n\r\n"),
    "chunk-data-too-long": chunks(b"3\r\nabcd\r\n0\r\n\r\n"),
    "chunk-data-without-end": chunks(b"3\r\nabc0\r\n\r\n"),
    "chunk-extension-too-long": chunks(b"3;" + b"x" * 100_000 + b"\r\nabc\r\n0\r\n\r\n"),
    "chunk-extension-with-line-feed": chunks(b"3;a\nb\r\nabc\r\n0\r\n\r\n"),
    "chunk-extension-with-carriage-return": chunks(b"3;a\rb\r\nabc\r\n0\r\n\r\n"),
    "chunk-extension-with-nul": chunks(b"3;a\0b\r\nabc\r\n0\r\n\r\n"),
    "chunk-extensions-in-all-too-long": chunks(b"".join(b"1;" + b"x" * 200 + b"\r\na\r\n" for _ in range(500)) + b"0\r\n\r\n"),
    "trailer-folded": chunks(b"0\r\nX: a\r\n b\r\n\r\n"),
    "trailer-without-colon": chunks(b"0\r\nX\r\n\r\n"),
    "trailer-space-before-colon": chunks(b"0\r\nX : y\r\n\r\n"),
    "trailer-with-nul": chunks(b"0\r\nX: \0\r\n\r\n"),
    "trailer-bare-line-feed": chunks(b"0\r\nX: y\n\r\n"),
    "last-chunk-bare-line-feed": chunks(b"0\n\n"),
}

REFUSALS: dict[str, tuple[bytes, set[int]]] = {      # where more than one status is right
    "coding-unknown": (head(b"Transfer-Encoding: gzip\r\n") + b"abc", {400, 501}),
    "coding-not-last": (head(b"Transfer-Encoding: chunked, gzip\r\n") + b"0\r\n\r\n", {400, 501}),
    "coding-below-chunked": (head(b"Transfer-Encoding: gzip, chunked\r\n") + b"0\r\n\r\n", {400, 501}),
    "expectation-unknown": (head(b"Expect: the-moon\r\nContent-Length: 0\r\n"), {417}),
    "coding-identity": (head(b"Transfer-Encoding: identity\r\n") + b"abc", {400, 501}),
    "coding-misspelt": (head(b"Transfer-Encoding: xchunked\r\n") + b"0\r\n\r\n", {400, 501}),
    "connect": (b"CONNECT gateway.test:443 HTTP/1.1\r\n" + HOST + b"\r\n", {400, 405, 501}),
    "version-0.9": (b"GET /\r\n\r\n", {400, 505}),
    "version-2": (head(b"", b"GET / HTTP/2.0"), {400, 505}),
    "version-3": (head(b"", b"GET / HTTP/3.0"), {400, 505}),
    "version-10": (head(b"", b"GET / HTTP/1.10"), {400, 505}),
    "version-lower-case": (head(b"", b"GET / http/1.1"), {400, 505}),
    "version-without-minor": (head(b"", b"GET / HTTP/1"), {400, 505}),
    "version-of-another-protocol": (head(b"", b"GET / ICAP/1.0"), {400, 505}),
    "tls-hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n", {400, 505}),
    "noise": (bytes(range(1, 256)) + b"\r\n\r\n", {400, 505}),
}
REFUSALS.update({name: (data, {400}) for name, data in BAD_REQUESTS.items()})


@pytest.mark.parametrize("case", sorted(REFUSALS))
def test_a_malformed_request_is_refused_and_the_connection_closed(module_gateway: Gateway, module_origin: Origin,
                                                                  case: str) -> None:
    data, statuses = REFUSALS[case]
    module_origin.forget()
    with module_gateway.connect() as client:
        client.send(data)
        client.send(b"GET /smuggled HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
        response = client.read_response()
        assert response.status in statuses
        assert response.headers.tokens("Connection") == ["close"]
        assert client.closed(), "after a malformed request nothing else on the connection may be answered"
    assert not any(request.complete for request in module_origin.requests), "the origin saw a whole request"
    assert "/smuggled" not in module_origin.targets


@pytest.mark.parametrize("fields", [b"Content-Length: 3\r\nContent-Length: 3\r\n", b"Content-Length: 3, 3\r\n"],
                         ids=["fields", "list"])
def test_a_length_said_twice_is_refused_or_passed_on_once(module_gateway: Gateway, module_origin: Origin,
                                                          fields: bytes) -> None:
    module_origin.forget()
    with module_gateway.connect() as client:
        client.send(head(fields) + b"abc")
        status = client.read_response().status
    assert status in (200, 400)
    assert [request.headers.all("Content-Length") for request in module_origin.requests] == ([["3"]] if status == 200 else [])


def test_every_refusal_of_a_malformed_request_is_counted_and_logged(gateway: Gateway) -> None:
    gateway.load()
    for _ in range(3):
        gateway.exchange(BAD_REQUESTS["host-missing"])
    assert [entry["status"] for entry in gateway.access_log(3)] == [400, 400, 400]
    gateway.wait_for_metric("turnpike_requests_total", 3, status="4xx")


def test_a_gateway_that_has_refused_everything_still_serves(gateway: Gateway, origin: Origin) -> None:
    gateway.load()
    for data in BAD_REQUESTS.values():
        with gateway.connect() as client:
            client.send(data)
    assert gateway.get("/").body == b"hello"


# Request smuggling: bytes that one reader takes for one request and another for two.

INNER = b"GET /smuggled HTTP/1.1\r\nHost: gateway.test\r\n\r\n"

SMUGGLING: dict[str, bytes] = {
    "length-wins-or-coding-wins": head(b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n" % (len(INNER) + 5)) + b"0\r\n\r\n" + INNER,
    "coding-hidden-by-tab": head(b"Content-Length: %d\r\nTransfer-Encoding:\tchunked\r\n" % (len(INNER) + 5)) + b"0\r\n\r\n" + INNER,
    "coding-hidden-by-space": head(b"Content-Length: %d\r\nTransfer-Encoding : chunked\r\n" % (len(INNER) + 5)) + b"0\r\n\r\n" + INNER,
    "coding-hidden-by-fold": head(b"Content-Length: %d\r\nTransfer-Encoding:\r\n chunked\r\n" % (len(INNER) + 5)) + b"0\r\n\r\n" + INNER,
    "coding-hidden-by-name": head(b"Content-Length: %d\r\nTransfer_Encoding: chunked\r\n" % 5) + b"0\r\n\r\n" + INNER,
    "coding-behind-line-feed": head(b"Content-Length: %d\r\nX: y\nTransfer-Encoding: chunked\r\n" % (len(INNER) + 5)) + b"0\r\n\r\n" + INNER,
    "coding-behind-carriage-return": head(b"Content-Length: %d\r\nX: y\rTransfer-Encoding: chunked\r\n" % (len(INNER) + 5)) + b"0\r\n\r\n" + INNER,
    "second-length": head(b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(INNER)) + INNER,
    "length-with-plus": head(b"Content-Length: +%d\r\n" % len(INNER)) + INNER,
    "length-wraps": head(b"Content-Length: 18446744073709551616\r\n") + INNER,
    "length-octal": head(b"Content-Length: 0%o\r\n" % len(INNER)) + INNER,
    "chunk-size-wraps": chunks(b"10000000000000000\r\n\r\n" + INNER),
    "chunk-size-line-feed": chunks(b"0\n\n" + INNER),
    "chunk-extension-line-feed": chunks(b"2;\nxx\r\n" + b"%x" % len(INNER) + b"\r\n0\r\n\r\n" + INNER),
    "chunk-terminator-of-two-bytes": chunks(b"3\r\nabcXX0\r\n\r\n" + INNER),
    "trailer-names-length": chunks(b"0\r\nContent-Length: %d\r\n\r\n" % len(INNER)) + INNER,
    "get-with-length": head(b"Content-Length: %d\r\n" % len(INNER), b"GET / HTTP/1.1") + INNER,
    "old-version-with-coding": head(b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n" % (len(INNER) + 5),
                                    b"POST / HTTP/1.0") + b"0\r\n\r\n" + INNER,
    "connection-names-length": head(b"Connection: Content-Length\r\nContent-Length: %d\r\n" % len(INNER)) + INNER,
    "connection-names-coding": head(b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n") + b"%x\r\n" % len(INNER) + INNER + b"\r\n0\r\n\r\n",
    "expect-then-body": head(b"Expect: 100-continue\r\nContent-Length: %d\r\n" % len(INNER)) + INNER,
    "upgrade-with-body": head(b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: %d\r\n" % len(INNER),
                              b"GET / HTTP/1.1") + INNER,
    "h2c-upgrade-with-body": head(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: %d\r\n"
                                  % len(INNER)) + INNER,
    "line-in-the-target": b"GET /%0d%0aHost:%20x%0d%0a%0d%0aGET%20/smuggled HTTP/1.1\r\n" + HOST + b"\r\n",
}
# Here both readings agree that the inner request is a request of its own.
HONEST = {"coding-hidden-by-name", "trailer-names-length"}


@pytest.mark.parametrize("case", sorted(SMUGGLING))
def test_nothing_is_smuggled_past_the_gateway(gateway: Gateway, origin: Origin, case: str) -> None:
    gateway.load(workers=1, routes={"inner": {"match": {"path": "/smuggled"}, "respond": {"status": 403}},
                                    "default": {"match": {"path": "/*"}}})
    with gateway.connect() as client:
        client.send(SMUGGLING[case])
        client.finish_sending()
        responses = client.read_responses()
    assert gateway.get("/after").status == 200
    assert "/smuggled" not in origin.targets, "the origin took bytes of a body for a request"
    assert "/after" in origin.targets
    assert len(origin.requests) <= 2
    assert not origin.errors
    assert len(responses) <= (2 if case in HONEST else 1), "the gateway took bytes of a body for a request"


def test_an_h2c_upgrade_is_not_passed_to_the_origin(gateway: Gateway, origin: Origin) -> None:
    """An origin that switches to HTTP/2 would be reached past every route and policy."""
    gateway.load()
    gateway.get("/", headers={"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"})
    for request in origin.requests:
        assert "Upgrade" not in request.headers
        assert "HTTP2-Settings" not in request.headers


def test_underscores_do_not_make_a_second_spelling_of_what_the_gateway_writes(gateway: Gateway, origin: Origin) -> None:
    """CGI-like origins read X_Forwarded_For as X-Forwarded-For."""
    gateway.load()
    gateway.get("/", headers={"X_Forwarded_For": "6.6.6.6", "X_Real_IP": "6.6.6.6"})
    assert b"6.6.6.6" not in origin.last.head


def test_a_redirect_does_not_carry_line_breaks_out_of_the_path(gateway: Gateway) -> None:
    gateway.load(routes={"away": {"match": {"path": "/*"}, "redirect": {"status": 302,
                                                                        "location": "https://x.example${request.path}"}}})
    for target in ("/%0d%0aSet-Cookie:%20a=b", "/%0D%0A%0D%0A<script>", "/%0aX:%20y", "/?%0d%0aSet-Cookie:a=b"):
        with gateway.connect() as client:
            client.send(request_bytes("GET", target.replace("<", "%3C").replace(">", "%3E")))
            response = client.read_response()
        assert response.status in (302, 400)
        assert "Set-Cookie" not in response.headers
        assert "X" not in response.headers


# The origin's side

BAD_ANSWER_HEADS: dict[str, bytes] = {
    "length-and-coding": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two-different-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "length-with-plus": b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
    "length-with-minus": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc",
    "length-over-64-bits": b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551619\r\n\r\nabc",
    "length-hexadecimal": b"HTTP/1.1 200 OK\r\nContent-Length: 0x3\r\n\r\nabc",
    "length-empty": b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
    "coding-unknown": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
    "coding-not-last": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nabc",
    "coding-twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding-from-an-old-origin": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare-line-feeds": b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
    "bare-line-feed-in-a-field": b"HTTP/1.1 200 OK\r\nX: a\nContent-Length: 3\r\n\r\nabc",
    "bare-carriage-return": b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 3\r\n\r\nabc",
    "folded-field": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 3\r\n\r\nabc",
    "space-before-colon": b"HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc",
    "field-without-colon": b"HTTP/1.1 200 OK\r\nX\r\nContent-Length: 3\r\n\r\nabc",
    "name-with-space": b"HTTP/1.1 200 OK\r\nX Y: z\r\nContent-Length: 3\r\n\r\nabc",
    "nul-in-a-value": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 3\r\n\r\nabc",
    "control-byte-in-a-value": b"HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 3\r\n\r\nabc",
    "control-byte-in-the-reason": b"HTTP/1.1 200 O\x01K\r\nContent-Length: 3\r\n\r\nabc",
    "status-of-two-digits": b"HTTP/1.1 99 Low\r\nContent-Length: 3\r\n\r\nabc",
    "status-of-four-digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 3\r\n\r\nabc",
    "status-zero": b"HTTP/1.1 000 OK\r\nContent-Length: 3\r\n\r\nabc",
    "status-with-letters": b"HTTP/1.1 2xx OK\r\nContent-Length: 3\r\n\r\nabc",
    "status-missing": b"HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    "version-2": b"HTTP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    "version-lower-case": b"http/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    "another-protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "tls-alert": b"\x15\x03\x01\x00\x02\x02\x0a",
    "empty-line-first": b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    "head-that-breaks-off": b"HTTP/1.1 200 OK\r\nContent-Le",
    "nothing": b"",
    "interim-only": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "switching-unasked": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "endless-head": b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 1_000_000,
    "too-many-fields": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
}


@pytest.mark.parametrize("case", sorted(BAD_ANSWER_HEADS))
def test_a_malformed_answer_becomes_a_502(gateway: Gateway, origin: Origin, case: str) -> None:
    gateway.load(workers=1)
    origin.reply_raw(BAD_ANSWER_HEADS[case], close=True)
    with gateway.connect() as client:
        response = client.get("/")
        assert response.status == 502
        assert response.headers["Content-Type"] == "application/problem+json"
        assert "X" not in response.headers
        origin.reply(200, None, b"sound again")
        assert client.get("/").body == b"sound again", "the client's connection must survive"


BAD_ANSWER_BODIES: dict[str, bytes] = {
    "size-not-hexadecimal": b"zz\r\nabc\r\n0\r\n\r\n",
    "size-with-prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
    "size-over-64-bits": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "size-line-feed": b"3\nabc\r\n0\r\n\r\n",
    "data-too-long": b"3\r\nabcd\r\n0\r\n\r\n",
    "data-line-feed": b"3\r\nabc\n0\r\n\r\n",
    "extension-too-long": b"3;" + b"x" * 100_000 + b"\r\nabc\r\n0\r\n\r\n",
    "trailer-folded": b"3\r\nabc\r\n0\r\nX: y\r\n z\r\n\r\n",
    "trailer-with-nul": b"3\r\nabc\r\n0\r\nX: \0\r\n\r\n",
    "endless-trailers": b"3\r\nabc\r\n0\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
}


@pytest.mark.parametrize("case", sorted(BAD_ANSWER_BODIES))
def test_a_malformed_answer_body_never_looks_complete(gateway: Gateway, origin: Origin, case: str) -> None:
    gateway.load(workers=1)
    origin.reply_raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + BAD_ANSWER_BODIES[case])
    with gateway.connect() as client:
        client.send_request("GET", "/")
        try:
            assert client.read_response().status == 502
        except (Truncated, ConnectionResetError):
            pass
    origin.reply(200, None, b"sound again")
    assert gateway.get("/").body == b"sound again"
    assert origin.connections == 2, "a connection that went wrong must not be used again"


POISON = response_bytes(200, {"X-Poison": "yes"}, b"poison")


@pytest.mark.parametrize("answer", [
    response_bytes(200, None, b"first") + POISON,
    response_bytes(200, None, [b"first"]) + POISON,
    response_bytes(200, None, b"first") + b"\r\n",
    response_bytes(200, None, b"first") + b"garbage",
    b"HTTP/1.1 204 No Content\r\n\r\nbody that must not be",
    b"HTTP/1.1 304 Not Modified\r\n\r\n" + POISON,
], ids=["whole-answer", "after-chunks", "line-end", "garbage", "body-of-204", "after-304"])
def test_bytes_after_an_answer_are_nobody_elses_answer(gateway: Gateway, origin: Origin, answer: bytes) -> None:
    gateway.load(workers=1)
    origin.reply_in_turn(answer, response_bytes(200, None, b"second"))
    assert gateway.get("/1").status in (200, 204, 304, 502)
    response = gateway.get("/2")
    assert (response.status, response.body) == (200, b"second")
    assert "X-Poison" not in response.headers
    assert origin.connections == 2, "the connection is out of step and must be given up"


def test_a_body_on_a_head_answer_is_nobody_elses_answer(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=1)
    origin.reply_in_turn(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", response_bytes(200, None, b"second"))
    assert gateway.request("HEAD", "/1").status in (200, 502)
    assert gateway.get("/2").body == b"second"


def test_an_answer_that_nobody_asked_for_is_not_given_to_the_next_client(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=1)
    speak, spoken = origin.gate(), threading.Event()

    def handler(request: Request, connection: OriginConnection) -> None:
        connection.reply(body=request.target.encode())
        if request.target == "/first":
            speak.wait(10)
            connection.send(POISON)
            spoken.set()
    origin.handler = handler
    assert gateway.get("/first").body == b"/first"
    speak.set()
    assert spoken.wait(10)
    response = gateway.get("/second")
    assert (response.status, response.body) == (200, b"/second")
    assert origin.connections == 2


def test_an_answer_before_the_body_was_sent_does_not_shift_later_answers(gateway: Gateway, origin: Origin) -> None:
    """The origin answers at the head and would read the rest of the body as the next request."""
    gateway.load(workers=1)
    origin.early = True
    origin.handler = lambda request, connection: connection.reply(body=request.target.encode())
    with gateway.connect() as client:
        client.send_request("POST", "/early", {"Content-Length": "%d" % len(INNER)})
        assert client.read_response().text == "/early"
        client.send(INNER)
    assert gateway.get("/next").text == "/next"


def test_a_flood_of_interim_answers_is_cut_off(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=1)
    origin.reply_raw(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20_000 + response_bytes(200, None, b"done"))
    response = gateway.get("/")
    assert response.status == 502
    assert len(response.interim) < 1000


def test_the_answers_of_many_clients_are_never_mixed_up(gateway: Gateway, origin: Origin) -> None:
    """Clients that come, go away in the middle and pipeline share few connections to the origin."""
    gateway.load(workers=1)
    origin.reply_target()
    wrong: list[str] = []

    def client_of(number: int) -> None:
        for turn in range(30):
            target = f"/{number}-{turn}"
            with gateway.connect() as client:
                if turn % 3 == 0:
                    client.send_request("GET", target + "-left")
                    client.reset() if turn % 2 else client.close()
                    continue
                client.send(request_bytes("GET", target) + request_bytes("GET", target + "-again"))
                answers = [client.read_response().text for _ in range(2)]
                if answers != [target, target + "-again"]:
                    wrong.append(f"{target}: {answers}")

    threads = [threading.Thread(target=client_of, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def test_the_reader_of_the_origin_is_strict_itself() -> None:
    """The assertions above rest on it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(BAD_REQUESTS["length-and-coding"])
        reader = Reader(theirs)
        with pytest.raises(Malformed):
            read_request_body(reader, read_request_head(reader))
