"""Requests and answers on their way through: what is passed on, what is not, and how messages are framed."""

from __future__ import annotations

import threading

import pytest

from support.client import chunked, request_bytes
from support.gateway import Gateway
from support.message import Request, Truncated, read_chunks
from support.origin import Origin, OriginConnection, response_bytes


@pytest.fixture
def loaded(gateway: Gateway) -> Gateway:
    """One worker, so that what the upstream pool does can be counted."""
    gateway.load(workers=1)
    return gateway


# Plain messages


def test_a_request_reaches_the_origin_and_its_answer_the_client(loaded: Gateway, origin: Origin) -> None:
    origin.reply(201, {"X-Colour": "blue", "Content-Type": "text/plain"}, b"made")

    response = loaded.post("/things?a=1&b=%20", headers={"User-Agent": "tester/1", "X-Own": "yes"}, body=b"payload")

    assert (response.status, response.reason, response.version) == (201, "Scripted", "HTTP/1.1")
    assert response.body == b"made"
    assert response.headers["X-Colour"] == "blue"
    assert response.headers["Content-Type"] == "text/plain"
    assert (origin.last.method, origin.last.target, origin.last.version) == ("POST", "/things?a=1&b=%20", "HTTP/1.1")
    assert origin.last.body == b"payload"
    assert origin.last.headers["User-Agent"] == "tester/1"
    assert origin.last.headers["X-Own"] == "yes"


def test_the_host_of_the_client_is_preserved(loaded: Gateway, origin: Origin) -> None:
    loaded.get("/", headers={"Host": "shop.example:8080"})
    assert origin.last.headers["Host"] == "shop.example:8080"


def test_the_query_is_passed_byte_for_byte(loaded: Gateway, origin: Origin) -> None:
    loaded.get("/q?x=%2F..%2f&&y=a+b&z=~!$'()*,;:@/?")
    assert origin.last.query == "x=%2F..%2f&&y=a+b&z=~!$'()*,;:@/?"


def test_an_empty_query_keeps_its_question_mark(loaded: Gateway, origin: Origin) -> None:
    loaded.get("/q?")
    assert origin.last.target == "/q?"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "M-SEARCH", "get"])
def test_every_method_that_is_a_token_passes(loaded: Gateway, origin: Origin, method: str) -> None:
    assert loaded.request(method, "/").status == 200
    assert origin.last.method == method


def test_repeated_fields_stay_apart_and_in_order(loaded: Gateway, origin: Origin) -> None:
    origin.reply(200, [("Set-Cookie", "a=1"), ("X-Other", "o"), ("Set-Cookie", "b=2")])

    response = loaded.get("/", headers=[("X-List", "one"), ("Accept", "a/b"), ("X-List", "two, three")])

    assert origin.last.headers.all("X-List") == ["one", "two, three"]
    assert response.headers.all("Set-Cookie") == ["a=1", "b=2"]


def test_empty_and_unusual_values_are_kept(loaded: Gateway, origin: Origin) -> None:
    fields = [("X-Empty", ""), ("X-Tab", "a\tb"), ("X-Latin", "caf\xe9"), ("!#$%&'*+-.^_`|~", "token")]
    loaded.get("/", headers=fields)
    for name, value in fields:
        assert origin.last.headers[name] == value


def test_space_around_a_value_is_not_part_of_it(loaded: Gateway, origin: Origin) -> None:
    loaded.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Padded: \t  v w \t \r\n\r\n")
    assert b"v w" in origin.last.head
    assert origin.last.headers["X-Padded"] == "v w"


def test_an_empty_line_before_the_request_is_ignored(loaded: Gateway, origin: Origin) -> None:
    with loaded.connect() as client:
        client.send(b"\r\n" + request_bytes("GET", "/"))
        assert client.read_response().status == 200


def test_the_status_and_an_unknown_reason_are_passed(loaded: Gateway, origin: Origin) -> None:
    origin.reply_raw(b"HTTP/1.1 599 Strange Days\r\nContent-Length: 0\r\n\r\n")
    response = loaded.get("/")
    assert (response.status, response.reason) == (599, "Strange Days")


def test_an_answer_without_a_reason_is_passed(loaded: Gateway, origin: Origin) -> None:
    origin.reply_raw(b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok")
    assert loaded.get("/").body == b"ok"


def test_a_request_that_comes_byte_by_byte_is_understood(loaded: Gateway, origin: Origin) -> None:
    with loaded.connect() as client:
        for byte in request_bytes("POST", "/slow", None, [b"one", b"two"]):
            client.send(bytes([byte]))
        assert client.read_response().status == 200
    assert (origin.last.target, origin.last.body) == ("/slow", b"onetwo")


@pytest.mark.parametrize("body", [b"slow answer", [b"slow ", b"answer"]], ids=["length", "chunked"])
def test_an_answer_that_comes_byte_by_byte_is_understood(loaded: Gateway, origin: Origin,
                                                         body: bytes | list[bytes]) -> None:
    origin.handler = lambda request, connection: connection.send_slowly(response_bytes(200, None, body))
    assert loaded.get("/").body == b"slow answer"


# Bodies and their framing


def test_a_body_with_a_length_keeps_its_length(loaded: Gateway, origin: Origin) -> None:
    loaded.post("/", body=b"x" * 70000)
    assert origin.last.headers["Content-Length"] == "70000"
    assert origin.last.body == b"x" * 70000


def test_a_chunked_body_arrives_whole(loaded: Gateway, origin: Origin) -> None:
    loaded.post("/", body=[b"one", b"two" * 30000, b"three"])
    assert origin.last.body == b"one" + b"two" * 30000 + b"three"
    assert origin.last.complete


def test_a_post_without_a_body_says_so(loaded: Gateway, origin: Origin) -> None:
    loaded.post("/")
    assert origin.last.body == b""
    assert origin.last.headers.get("Content-Length", "0") == "0"


def test_chunks_that_reach_the_origin_are_well_formed(loaded: Gateway, origin: Origin) -> None:
    """Many sizes at the borders of buffers, read back by the strict reader of the tests."""
    sizes = [1, 15, 16, 4095, 4096, 4097, 16383, 16384, 16385, 65537]
    origin.early = True

    def handler(request: Request, connection: OriginConnection) -> None:
        request.body = b"".join(data for data, _ in read_chunks(connection.reader))
        connection.reply(body=b"%d" % len(request.body))
    origin.handler = handler
    response = loaded.post("/", body=[bytes([65 + index]) * size for index, size in enumerate(sizes)])
    assert response.body == b"%d" % sum(sizes)
    assert origin.last.body == b"".join(bytes([65 + index]) * size for index, size in enumerate(sizes))


def test_chunk_extensions_are_not_passed_on(loaded: Gateway, origin: Origin) -> None:
    with loaded.connect() as client:
        client.send(request_bytes("POST", "/",
                                  {"Transfer-Encoding": "chunked"}) + b'3;name="a value";x\r\nabc\r\n0;last\r\n\r\n')
        assert client.read_response().status == 200
    assert origin.last.body == b"abc"
    assert b"value" not in origin.last.raw


def test_the_transfer_coding_is_named_in_any_case(loaded: Gateway, origin: Origin) -> None:
    with loaded.connect() as client:
        client.send(request_bytes("POST", "/", {"transfer-encoding": "Chunked"}) + b"3\r\nabc\r\n0\r\n\r\n")
        assert client.read_response().status == 200
    assert origin.last.body == b"abc"


def test_a_chunked_answer_arrives_whole(loaded: Gateway, origin: Origin) -> None:
    origin.reply(200, None, [b"a" * 100000, b"b", b"c"])
    assert loaded.get("/").body == b"a" * 100000 + b"bc"


def test_an_answer_delimited_by_close_is_complete(loaded: Gateway, origin: Origin) -> None:
    origin.reply_raw(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", close=True)
    response = loaded.get("/")
    assert response.body == b"until the end"


def test_a_client_connection_survives_an_answer_delimited_by_close(loaded: Gateway, origin: Origin) -> None:
    origin.reply_raw(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", close=True)
    with loaded.connect() as client:
        assert client.get("/").body == b"until the end"
        assert client.get("/").body == b"until the end"


@pytest.mark.parametrize("start", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nhalf",
], ids=["length", "between-chunks", "inside-a-chunk"])
def test_an_answer_that_breaks_off_never_looks_complete(loaded: Gateway, origin: Origin, start: bytes) -> None:
    origin.reply_raw(start, close=True)
    with loaded.connect() as client:
        client.send_request("GET", "/")
        with pytest.raises((Truncated, ConnectionResetError)):
            client.read_response()


def test_a_head_request_gets_the_length_but_no_body(loaded: Gateway, origin: Origin) -> None:
    origin.reply(200, {"Content-Length": "5"}, b"hello")
    with loaded.connect() as client:
        first = client.request("HEAD", "/")
        assert (first.status, first.headers["Content-Length"], first.body) == (200, "5", b"")
        assert client.get("/").body == b"hello"
    assert [request.method for request in origin.requests] == ["HEAD", "GET"]


def test_a_head_answer_that_announces_chunks_has_no_body(loaded: Gateway, origin: Origin) -> None:
    origin.reply(200, {"Transfer-Encoding": "chunked"}, [b"hello"])
    with loaded.connect() as client:
        assert client.request("HEAD", "/").status == 200
        assert client.get("/").body == b"hello"


def test_no_content_has_no_body_and_no_framing(loaded: Gateway, origin: Origin) -> None:
    origin.reply_in_turn(b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", response_bytes(200, None, b"next"))
    with loaded.connect() as client:
        response = client.get("/")
        assert (response.status, response.headers["X-A"]) == (204, "b")
        assert "Content-Length" not in response.headers
        assert "Transfer-Encoding" not in response.headers
        assert client.get("/").body == b"next"
    assert origin.connections == 1


def test_not_modified_has_no_body(loaded: Gateway, origin: Origin) -> None:
    origin.reply_in_turn(b'HTTP/1.1 304 Not Modified\r\nETag: "e"\r\nContent-Length: 500\r\n\r\n',
                         response_bytes(200, None, b"next"))
    with loaded.connect() as client:
        response = client.get("/", {"If-None-Match": '"e"'})
        assert (response.status, response.headers["ETag"], response.body) == (304, '"e"', b"")
        assert client.get("/").body == b"next"


# Interim answers


def test_early_hints_are_passed_on(loaded: Gateway, origin: Origin) -> None:
    origin.reply_raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + response_bytes(200, None, b"done"))
    response = loaded.get("/")
    assert [(hint.status, hint.headers["Link"]) for hint in response.interim] == [(103, "</a.css>")]
    assert (response.status, response.body) == (200, b"done")


def test_an_old_client_gets_no_interim_answer(loaded: Gateway, origin: Origin) -> None:
    origin.reply_raw(b"HTTP/1.1 103 Early Hints\r\n\r\n" + response_bytes(200, None, b"done"))
    response = loaded.get("/", version="HTTP/1.0")
    assert response.interim == []
    assert response.body == b"done"


def test_a_client_that_expects_100_gets_it_before_the_body(loaded: Gateway, origin: Origin) -> None:
    def handler(request: Request, connection: OriginConnection) -> None:
        if request.headers.get("Expect") == "100-continue":
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.reply(body=connection.read_body(request))
    origin.early, origin.handler = True, handler

    with loaded.connect() as client:
        client.send_request("POST", "/", {"Expect": "100-continue", "Content-Length": "4"})
        assert client.read_head().status == 100
        client.send(b"body")
        response = client.read_response()
    assert (response.status, response.body, response.interim) == (200, b"body", [])


def test_the_answer_to_an_expectation_comes_once(loaded: Gateway, origin: Origin) -> None:
    """The gateway answers by itself or forwards; if both did, the client would take the second for another answer."""
    with loaded.connect() as client:
        client.send_request("POST", "/", {"Expect": "100-continue"}, b"sent at once")
        response = client.read_response()
    assert response.status == 200
    assert len(response.interim) <= 1
    assert origin.last.body == b"sent at once"


def test_an_expectation_that_the_origin_refuses_is_refused(loaded: Gateway, origin: Origin) -> None:
    origin.early = True
    origin.reply_raw(response_bytes(401, None, b"who?"), close=True)
    with loaded.connect() as client:
        client.send_request("POST", "/", {"Expect": "100-continue", "Content-Length": "4"})
        response = client.read_response()
    assert (response.status, response.body) == (401, b"who?")


def test_a_request_that_the_gateway_refuses_is_never_told_to_continue(gateway: Gateway, origin: Origin) -> None:
    gateway.load(routes={"only": {"match": {"path": "/only"}}})
    with gateway.connect() as client:
        client.send_request("POST", "/other", {"Expect": "100-continue", "Content-Length": "4"})
        response = client.read_response()
    assert (response.status, response.interim) == (404, [])
    assert origin.connections == 0


# Versions


def test_an_old_client_gets_a_plain_body_and_a_closed_connection(loaded: Gateway, origin: Origin) -> None:
    origin.reply(200, None, [b"in ", b"chunks"])
    with loaded.connect() as client:
        response = client.request("GET", "/", version="HTTP/1.0")
        assert response.status == 200
        assert response.body == b"in chunks"
        assert "Transfer-Encoding" not in response.headers
        assert client.closed()
    assert origin.last.version == "HTTP/1.1"


def test_an_old_client_needs_no_host(loaded: Gateway, origin: Origin) -> None:
    answer = loaded.exchange(b"GET /old HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert len(origin.last.headers.all("Host")) == 1


def test_an_old_client_may_keep_its_connection(loaded: Gateway, origin: Origin) -> None:
    with loaded.connect() as client:
        response = client.request("GET", "/", {"Connection": "keep-alive"}, version="HTTP/1.0")
        assert response.body == b"hello"
        if "keep-alive" in response.headers.tokens("Connection"):
            assert client.request("GET", "/", version="HTTP/1.0").body == b"hello"
        assert client.closed()


def test_an_old_origin_is_understood_and_its_connection_not_reused(loaded: Gateway, origin: Origin) -> None:
    origin.handler = lambda request, connection: connection.send(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold")
    with loaded.connect() as client:
        first = client.get("/")
        assert (first.version, first.body) == ("HTTP/1.1", b"old")
        assert client.get("/").body == b"old"
    assert origin.connections == 2


# Connections


def test_connections_are_kept_on_both_sides(loaded: Gateway, origin: Origin) -> None:
    with loaded.connect() as client:
        for _ in range(5):
            assert client.get("/").status == 200
    assert (len(origin.requests), origin.connections) == (5, 1)


def test_a_connection_to_the_origin_serves_other_clients_too(loaded: Gateway, origin: Origin) -> None:
    for _ in range(3):
        assert loaded.get("/").status == 200
    assert origin.connections == 1


def test_the_client_ends_the_connection_with_close(loaded: Gateway, origin: Origin) -> None:
    with loaded.connect() as client:
        response = client.get("/", {"Connection": "close"})
        assert response.headers.tokens("Connection") == ["close"]
        assert client.closed()
    assert loaded.get("/").status == 200
    assert origin.connections == 1, "the client's wish must not end the connection to the origin"


def test_the_origin_ends_its_own_connection_only(loaded: Gateway, origin: Origin) -> None:
    origin.reply_raw(response_bytes(200, {"Connection": "close"}, b"bye"), close=True)
    with loaded.connect() as client:
        for _ in range(3):
            response = client.get("/")
            assert response.body == b"bye"
            assert "close" not in response.headers.tokens("Connection")
    assert origin.connections == 3


def test_pipelined_requests_are_answered_in_order(loaded: Gateway, origin: Origin) -> None:
    origin.reply_target()
    with loaded.connect() as client:
        client.send(b"".join(request_bytes("GET", f"/{number}") for number in range(10)))
        assert [client.read_response().text for _ in range(10)] == [f"/{number}" for number in range(10)]


def test_pipelined_bodies_do_not_run_into_each_other(loaded: Gateway, origin: Origin) -> None:
    origin.handler = lambda request, connection: connection.reply(body=request.body)
    with loaded.connect() as client:
        client.send(request_bytes("POST", "/", None, b"first") + request_bytes("POST", "/", None, [b"sec", b"ond"])
                    + request_bytes("POST", "/", None, b"") + request_bytes("POST", "/", None, b"last"))
        assert [client.read_response().body for _ in range(4)] == [b"first", b"second", b"", b"last"]


def test_a_client_may_close_its_sending_side_and_still_gets_the_answer(loaded: Gateway, origin: Origin) -> None:
    gate = origin.hold()
    with loaded.connect() as client:
        client.send_request("POST", "/", None, b"all of it")
        client.finish_sending()
        origin.wait_for(1)
        gate.set()
        assert client.read_response().body == b"hello"
        assert client.closed()


def test_a_client_that_goes_away_ends_the_request_at_the_origin(loaded: Gateway, origin: Origin) -> None:
    gone = threading.Event()

    def handler(request: Request, connection: OriginConnection) -> None:
        if connection.ended():
            gone.set()
    origin.handler = handler
    with loaded.connect() as client:
        client.send_request("GET", "/")
        origin.wait_for(1)
        client.reset()
    assert gone.wait(10)


def test_a_body_that_breaks_off_never_looks_complete_to_the_origin(loaded: Gateway, origin: Origin) -> None:
    for start in (request_bytes("POST", "/", {"Content-Length": "10"}) + b"half",
                  request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}) + b"4\r\nhalf\r\n"):
        with loaded.connect() as client:
            client.send(start)
    loaded.get("/after")
    assert not any(request.complete for request in origin.requests if request.method == "POST")


def test_a_refusal_arrives_although_the_client_is_still_sending(gateway: Gateway, origin: Origin) -> None:
    """Closing at once would reset the connection and wipe the answer out before the client has read it."""
    gateway.load(routes={"only": {"match": {"path": "/only"}}})
    for _ in range(5):
        with gateway.connect() as client:
            client.send(request_bytes("POST", "/other", None, b"x" * 4_000_000))
            assert client.read_response().status == 404


def test_an_answer_that_comes_before_the_body_is_passed_on(loaded: Gateway, origin: Origin) -> None:
    origin.early = True
    origin.reply(413, {"Connection": "close"}, b"too much")
    with loaded.connect() as client:
        client.send_request("POST", "/", {"Content-Length": "1000000"})
        assert client.read_response().status == 413


# Forms of the target


def test_the_absolute_form_becomes_the_origin_form(loaded: Gateway, origin: Origin) -> None:
    response = loaded.get("http://shop.example/a/b?c=d", headers={"Host": "shop.example"})
    assert response.status == 200
    assert origin.last.target == "/a/b?c=d"
    assert origin.last.headers.all("Host") == ["shop.example"]


def test_the_absolute_form_decides_over_the_host_field(gateway: Gateway, origin: Origin) -> None:
    gateway.load(routes={"shop": {"match": {"hosts": ["shop.example"], "path": "/*"}},
                         "other": {"match": {"hosts": ["other.example"], "path": "/*"}, "respond": {"status": 403}}})
    assert gateway.get("http://shop.example/", headers={"Host": "other.example"}).status == 200
    assert origin.last.headers.all("Host") == ["shop.example"]
    assert gateway.get("http://other.example/", headers={"Host": "shop.example"}).status == 403


def test_the_absolute_form_without_a_path_is_the_root(loaded: Gateway, origin: Origin) -> None:
    loaded.get("http://shop.example?q=1", headers={"Host": "shop.example"})
    assert origin.last.target == "/?q=1"


# Trailers


def test_trailers_of_a_request_reach_the_origin(loaded: Gateway, origin: Origin) -> None:
    with loaded.connect() as client:
        client.send(request_bytes("POST", "/", {"Transfer-Encoding": "chunked", "Trailer": "X-Sum"})
                    + chunked([b"data"], [("X-Sum", "42"), ("X-More", "m")]))
        assert client.read_response().status == 200
    assert list(origin.last.trailers) == [("X-Sum", "42"), ("X-More", "m")]


def test_trailers_of_an_answer_reach_the_client(loaded: Gateway, origin: Origin) -> None:
    origin.reply_raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                     + chunked([b"data"], {"X-Sum": "42"}))
    response = loaded.get("/", headers={"TE": "trailers"})
    assert response.body == b"data"
    assert response.trailers["X-Sum"] == "42"


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding", "Host", "Connection", "Authorization",
                                  "Content-Type"])
def test_a_trailer_never_says_what_only_a_head_may_say(loaded: Gateway, origin: Origin, name: str) -> None:
    with loaded.connect() as client:
        client.send(request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}) + chunked([b"data"], {name: "7"}))
        client.read_response()
    for request in origin.requests:
        assert name not in request.trailers
