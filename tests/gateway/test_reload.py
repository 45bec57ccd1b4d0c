"""A reload loses nothing, resets nothing, leaks nothing, and a bad file never replaces a good one."""

from __future__ import annotations

import os
from typing import Any

import pytest
import yaml

from support import proc
from support.client import Client
from support.gateway import Gateway
from support.load import Load
from support.origin import Origin
from support.ports import free_port
from support.wait import wait_until, wait_until_still

pytestmark = pytest.mark.threads


def route(path: str, **fields: Any) -> dict[str, Any]:
    return {"match": {"path": path}, **fields}


def test_a_new_route_is_there_after_the_signal(gateway: Gateway) -> None:
    gateway.load(routes={"one": route("/one")})
    assert gateway.get("/two").status == 404
    gateway.load(routes={"one": route("/one"), "two": route("/two")})
    assert gateway.get("/two").status == 200


def test_a_kept_connection_gets_the_new_configuration_with_its_next_request(gateway: Gateway) -> None:
    gateway.load(routes={"one": route("/one")})
    with gateway.connect() as client:
        assert client.get("/two").status == 404
        gateway.load(routes={"two": route("/two")})
        assert client.get("/two").status == 200
        assert client.get("/one").status == 404


def test_a_request_ends_under_the_configuration_that_it_began_with(gateway: Gateway, origin: Origin) -> None:
    stamp = {"headers": {"response": {"set": {"X-Stamp": "old"}}}}
    gateway.load(policies=[stamp])
    gate = origin.hold()
    with gateway.connect() as client:
        client.send_request("GET", "/")
        origin.wait_for(1)
        gateway.load(routes={"other": route("/other")})
        gate.set()
        response = client.read_response()
    assert (response.status, response.headers["X-Stamp"]) == (200, "old")
    assert gateway.get("/").status == 404


def test_no_request_is_lost_while_reloading(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=2)
    with Load(gateway, clients=4) as load:
        for number in range(30):
            gateway.load(workers=2, routes={"default": route("/*"), f"extra-{number}": route(f"/extra-{number}")})
            load.wait_for_more(10)
    assert load.failures == []
    assert load.answers >= 300


def test_no_new_connection_is_refused_while_reloading(gateway: Gateway) -> None:
    gateway.load()
    for number in range(20):
        gateway.write(gateway.full_config(routes={"default": route("/*"),
                                                  f"extra-{number}": route(f"/extra-{number}")}))
        gateway.signal(1)
        for _ in range(10):
            assert gateway.get("/").status == 200
    gateway.reload()


def test_signals_in_quick_succession_end_with_the_last_file(gateway: Gateway) -> None:
    gateway.load()
    for number in range(50):
        gateway.write(gateway.full_config(routes={f"r{number}": route(f"/r{number}")}))
        gateway.signal(1)
    wait_until(lambda: gateway.get("/r49").status == 200, what="the last configuration")
    assert gateway.get("/r48").status == 404


def test_counts_of_a_limit_are_kept(gateway: Gateway) -> None:
    policies = [{"rate-limit": {"limit": 2, "window": "1h"}}]
    gateway.load(policies=policies)
    assert [gateway.get("/").status for _ in range(2)] == [200, 200]
    gateway.load(policies=policies, consumers={"someone": {"keys": ["some-key"]}})
    assert gateway.get("/").status == 429


def test_endpoints_that_were_left_out_stay_out(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    services = {"pool": {"endpoints": [origin.url, second_origin.url],
                         "passive": {"failures": 1, "window": "10s", "eject": "60s"},
                         "retry": {"attempts": 0}}}
    gateway.load(services=services)
    origin.handler = lambda request, connection: connection.close()
    for _ in range(2):
        gateway.get("/")
    origin.reply(200)
    origin.forget()
    gateway.load(services=services, consumers={"someone": {"keys": ["some-key"]}})
    for _ in range(6):
        assert gateway.get("/").status == 200
    assert origin.requests == []


def test_connections_to_the_origin_are_kept(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=1)
    gateway.get("/")
    gateway.load(workers=1, routes={"default": route("/*"), "extra": route("/extra")})
    gateway.get("/")
    assert origin.connections == 1


def test_an_endpoint_that_was_taken_away_gets_no_more_requests(gateway: Gateway, origin: Origin,
                                                               second_origin: Origin) -> None:
    gateway.load(services={"pool": {"endpoints": [origin.url, second_origin.url]}})
    gateway.get("/")
    gateway.get("/")
    gateway.load(services={"pool": {"endpoints": [second_origin.url]}})
    origin.forget()
    for _ in range(6):
        assert gateway.get("/").status == 200
    assert origin.requests == []
    wait_until(lambda: not origin.open, what="its idle connections to be closed")


# Bad files

BAD_FILES: dict[str, bytes] = {
    "empty": b"",
    "only-a-comment": b"# nothing\n",
    "not-yaml": b"routes: [\n",
    "a-list": b"- a\n- b\n",
    "a-scalar": b"hello\n",
    "unknown-field": b"lisseners: {}\n",
    "wrong-type": b"routes: 7\n",
    "unknown-service": b"routes: { a: { match: { path: /a }, service: nobody } }\n",
    "bad-expression": b"routes: { a: { match: { path: /a }, respond: { status: 200 }, policies: [{ respond: { status: 403 }, when: 'request.' }] } }\n",
    "bad-regular-expression": b"routes: { a: { match: { path: '~ (' }, respond: { status: 200 } } }\n",
    "key-twice": b"routes: {}\nroutes: {}\n",
    "binary": bytes(range(256)) * 100,
    "zeros": b"\0" * 100_000,
    "deep-lists": b"[" * 100_000,
    "deep-maps": b"{a: " * 50_000,
    "deep-blocks": b"".join(b" " * depth + b"a:\n" for depth in range(2_000)),
    "alias-bomb": b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (letter, letter, b",".join([b"*%c" % (letter - 1)] * 9)) for letter in range(ord("b"),
                                                                                                         ord("k"))),
    "alias-to-itself": b"a: &a [*a]\n",
    "unknown-alias": b"a: *nobody\n",
    "bad-utf-8": b"routes: { \xff\xfe: 1 }\n",
    "utf-16": "routes: {}\n".encode("utf-16"),
    "huge-scalar": b"a: " + b"x" * 5_000_000 + b"\n",
    "many-keys": b"".join(b"k%d: 1\n" % number for number in range(100_000)),
    "includes-itself": b"include: [turnpike.yaml]\n",
    "includes-a-folder": b"include: [.]\n",
    "unset-variable": b"data_dir: '${env:SURELY_NOT_SET_ANYWHERE}'\n",
    "missing-file": b"data_dir: '${file:/surely/not/there}'\n",
}


@pytest.fixture(scope="module")
def serving(module_gateway: Gateway) -> Gateway:
    return module_gateway


@pytest.mark.parametrize("case", sorted(BAD_FILES))
def test_a_bad_file_never_replaces_a_good_one(serving: Gateway, case: str) -> None:
    serving.write(BAD_FILES[case])
    said = serving.reload_refused()
    assert "turnpike.yaml" in said, "the message names the file"
    assert serving.get("/").status == 200


def test_a_message_names_file_line_column_path_and_near_miss(gateway: Gateway) -> None:
    gateway.load()
    text = gateway.config_path.read_text()
    gateway.write(text + "consumers:\n  alice:\n    kyes: [some-key]\n")
    line = len(text.splitlines()) + 3
    said = gateway.reload_refused()
    assert f"turnpike.yaml:{line}:5" in said
    assert "consumers.alice.kyes" in said or "consumers.alice" in said
    assert "keys" in said


def test_a_file_that_is_missing_keeps_the_old_configuration(gateway: Gateway) -> None:
    gateway.load()
    gateway.config_path.unlink()
    gateway.reload_refused()
    assert gateway.get("/").status == 200


def test_a_good_file_after_a_bad_one_comes_into_force(gateway: Gateway) -> None:
    gateway.load(routes={"one": route("/one")})
    gateway.write(b"nonsense")
    gateway.reload_refused()
    gateway.load(routes={"two": route("/two")})
    assert gateway.get("/two").status == 200
    assert gateway.config_status()["failures"] == 1


def test_a_listener_that_cannot_be_opened_keeps_the_old_configuration_whole(gateway: Gateway, origin: Origin) -> None:
    """Nothing of a file comes into force when a part of it cannot."""
    gateway.load(routes={"one": route("/one")})
    config = gateway.full_config(routes={"two": route("/two")})
    config["listeners"]["extra"] = {"address": f"127.0.0.1:{origin.port}"}
    gateway.write(config)
    said = gateway.reload_refused()
    assert str(origin.port) in said
    assert gateway.get("/one").status == 200
    assert gateway.get("/two").status == 404


# Other ways to change


def test_the_file_is_watched_where_it_says_so(gateway: Gateway) -> None:
    gateway.load(watch=True, routes={"one": route("/one")})
    gateway.write(gateway.full_config(watch=True, routes={"two": route("/two")}))
    wait_until(lambda: gateway.get("/two").status == 200, what="the new file to be seen")
    gateway.write(gateway.full_config(watch=True, routes={"three": route("/three")}))
    wait_until(lambda: gateway.get("/three").status == 200, what="the second new file to be seen")


def test_a_file_that_is_written_in_place_is_seen_too(gateway: Gateway) -> None:
    gateway.load(watch=True, routes={"one": route("/one")})
    gateway.config_path.write_text(yaml.safe_dump(gateway.full_config(watch=True, routes={"two": route("/two")})))
    wait_until(lambda: gateway.get("/two").status == 200, what="the change to be seen")


def test_included_files_are_watched(gateway: Gateway) -> None:
    folder = gateway.folder / "conf.d"
    folder.mkdir()
    (folder / "a.yaml").write_text("routes: { a: { match: { path: /a }, respond: { status: 200 } } }\n")
    gateway.load(watch=True, include=["conf.d/*.yaml"])
    assert gateway.get("/a").body != b"hello"
    (folder / "b.yaml").write_text("routes: { b: { match: { path: /b }, respond: { status: 200, body: from-b } } }\n")
    wait_until(lambda: gateway.get("/b").body == b"from-b", what="the new included file to be seen")


def test_a_watched_file_that_is_replaced_by_a_symbolic_link_is_seen(gateway: Gateway) -> None:
    """As Kubernetes does with mounted configuration."""
    gateway.load(watch=True, routes={"one": route("/one")})
    target = gateway.folder / "version-2.yaml"
    gateway.write(gateway.full_config(watch=True, routes={"two": route("/two")}))
    os.replace(gateway.config_path, target)
    os.symlink(target, gateway.folder / "link")
    os.replace(gateway.folder / "link", gateway.config_path)
    wait_until(lambda: gateway.get("/two").status == 200, what="the new target to be seen")


def test_what_the_gateway_writes_into_a_watched_folder_does_not_reload_it_for_ever(gateway: Gateway) -> None:
    gateway.data_dir = gateway.folder
    gateway.load(watch=True, data_dir=str(gateway.folder), routes={"one": route("/one")})
    gateway.write(gateway.full_config(watch=True, data_dir=str(gateway.folder), routes={"two": route("/two")}))
    wait_until(lambda: gateway.get("/two").status == 200, what="the new file to be seen")
    wait_until_still(lambda: int(gateway.config_status()["reloads"]), period=1.5)


def reloads(gateway: Gateway) -> int:
    return int(gateway.config_status()["reloads"])


def test_the_start_itself_is_no_change_of_a_watched_folder(gateway: Gateway) -> None:
    """The gateway makes files of its own: addresses, the folder of crash reports, the access log."""
    gateway.data_dir = gateway.folder
    gateway.load(watch=True, data_dir=str(gateway.folder), routes={"one": route("/one")})
    assert gateway.get("/one").status == 200
    assert wait_until_still(lambda: reloads(gateway), period=1.0) == 0
    gateway.write(gateway.full_config(watch=True, data_dir=str(gateway.folder), routes={"two": route("/two")}))
    wait_until(lambda: gateway.get("/two").status == 200, what="the new file to be seen")
    assert wait_until_still(lambda: reloads(gateway), period=1.0) == 1


def test_files_of_others_in_a_watched_folder_are_no_change(gateway: Gateway) -> None:
    gateway.load(watch=True, include=["part-*.yaml"], routes={"one": route("/one")})
    (gateway.folder / "notes.txt").write_text("not a part of the configuration\n")
    (gateway.folder / ".part-1.yaml.swp").write_text("an editor's\n")
    assert wait_until_still(lambda: reloads(gateway), period=1.0) == 0
    (gateway.folder / "part-1.yaml").write_text("routes: { two: { match: { path: /two }, respond: { status: 200 } } }\n")
    wait_until(lambda: gateway.get("/two").status == 200, what="the new part to be seen")


def test_the_first_file_in_an_included_folder_is_seen(gateway: Gateway) -> None:
    folder = gateway.folder / "conf.d"
    folder.mkdir()
    gateway.load(watch=True, include=["conf.d/*.yaml"], routes={"one": route("/one")})
    (folder / "a.yaml").write_text("routes: { two: { match: { path: /two }, respond: { status: 200 } } }\n")
    wait_until(lambda: gateway.get("/two").status == 200, what="the first file to be seen")


def test_a_link_on_the_way_to_a_watched_file_that_points_elsewhere_is_seen(gateway: Gateway) -> None:
    """Kubernetes replaces the link `..data`; the event names that and not the file."""
    first, second = gateway.folder / "..1", gateway.folder / "..2"
    for folder, path in ((first, "/one"), (second, "/two")):
        folder.mkdir()
        gateway.write(gateway.full_config(watch=True, routes={"only": route(path)}))
        os.replace(gateway.config_path, folder / "turnpike.yaml")
    os.symlink("..1", gateway.folder / "..data")
    os.symlink("..data/turnpike.yaml", gateway.config_path)
    gateway.start()
    assert gateway.get("/one").status == 200
    os.symlink("..2", gateway.folder / "..data_fresh")
    os.replace(gateway.folder / "..data_fresh", gateway.folder / "..data")
    wait_until(lambda: gateway.get("/two").status == 200, what="the new target to be seen")


def test_listeners_come_and_go(gateway: Gateway) -> None:
    gateway.load()
    first = gateway.address()
    config = gateway.full_config()
    config["listeners"]["extra"] = {"address": "127.0.0.1:0"}
    gateway.load(config)
    assert gateway.address() == first, "a listener that did not change keeps its socket"
    extra = gateway.address("extra")
    assert Client(extra).request("GET", "/").status == 200
    with Client(extra).connect() as client:
        assert client.get("/").status == 200
        gateway.load()
        assert client.get("/").headers.tokens("Connection") == ["close"], "kept connections of the old listener end politely"
    with pytest.raises(OSError):
        Client(extra).request("GET", "/")


def test_a_renamed_listener_keeps_its_port_while_an_idle_client_keeps_the_old_configuration(gateway: Gateway) -> None:
    listener = {"address": f"127.0.0.1:{free_port()}"}
    gateway.load(listener=listener)
    config = gateway.full_config(listener=listener)
    config["listeners"] = {"renamed": config["listeners"]["main"]}
    with gateway.connect() as idle:
        assert idle.get("/").status == 200
        gateway.load(config)
        assert [gateway.client("renamed").request("GET", "/").status for _ in range(10)] == [200] * 10
        assert idle.get("/").status == 200
    gateway.wait_for_metric("turnpike_config_snapshots", 1)
    assert [gateway.client("renamed").request("GET", "/").status for _ in range(10)] == [200] * 10


# Memory


def test_memory_is_flat_over_many_reloads(gateway: Gateway) -> None:
    def config(number: int) -> dict[str, Any]:
        routes = {f"route-{index}": route(f"/{number % 7}/{index}/{{id}}",
                                          policies=[{"rate-limit": {"limit": 5, "window": "1m"}}])
                  for index in range(500)}
        return {"routes": routes,
                "services": {"origin": {"endpoints": [gateway.origin.url]}}}  # type: ignore[union-attr]

    def reload_times(count: int) -> None:
        for number in range(count):
            gateway.load(**config(number))
            assert gateway.get(f"/{number % 7}/3/x").status in (200, 429)

    reload_times(20)
    before, files = gateway.rss(), proc.open_files(gateway.worker_pid)
    reload_times(60)
    assert gateway.rss() - before < 12 * 1024 * 1024
    assert proc.open_files(gateway.worker_pid) <= files + 2


def test_an_old_configuration_is_kept_only_while_it_is_used(gateway: Gateway, origin: Origin) -> None:
    gateway.load()
    gate = origin.hold()
    with gateway.connect() as client:
        client.send_request("GET", "/")
        origin.wait_for(1)
        for number in range(10):
            gateway.load(routes={"default": route("/*"), f"extra-{number}": route(f"/extra-{number}")})
        gateway.wait_for_metric("turnpike_config_snapshots", 2)
        gate.set()
        assert client.read_response().status == 200
    gateway.wait_for_metric("turnpike_config_snapshots", 1)
