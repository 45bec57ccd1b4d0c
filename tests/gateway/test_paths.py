"""One normalisation of paths: no spelling of a path walks around the policy of a route into the catch-all beside it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.gateway import Gateway
from support.origin import Origin

GUARDED = {"guarded": {"match": {"path": "/admin/*"}, "respond": {"status": 403}}, "all": {"match": {"path": "/*"}}}


def as_an_origin_reads_it(path: str) -> str:
    """The path that a lenient origin would serve: decoded, dots and slashes resolved."""
    return posixpath.normpath("/" + unquote(path).lstrip("/"))


SPELLINGS = [
    "/admin", "/admin/", "/admin/secret", "/%61dmin", "/%61%64%6d%69%6e", "/%61%64%6D%69%6E/secret", "/./admin",
    "/././admin",
    "//admin", "///admin", "/x/../admin", "/x/y/../../admin", "/../admin", "/../../admin", "/%2e/admin",
    "/%2e%2e/admin", "/x/%2e%2e/admin",
    "/x/.%2e/admin", "/x/%2E./admin", "/admin/.", "/admin/..//admin", "/admin/x/..", "/admin//secret",
    "/admin/./secret", "/x//../admin",
    "/x/..//admin", "//x/../admin", "/%2f/admin", "/%2fadmin", "/%2Fadmin", "/x%2f..%2fadmin", "/x/..%2fadmin",
    "/x%2f../admin", "/admin%2fsecret",
    "/admin%2f", "/admin%2f..%2fadmin", "/.//admin", "/%2e//admin", "/admin?x", "/%61dmin?x=/../y",
    "/x/../%61dmin/%73ecret",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_walks_around_the_guard(module_guarded: Gateway, module_origin: Origin, spelling: str) -> None:
    module_origin.forget()
    assert module_guarded.get(spelling).status in (400, 403)
    assert module_origin.requests == []


@pytest.fixture(scope="module")
def module_guarded(module_gateway: Gateway) -> Iterator[Gateway]:
    module_gateway.load(routes={name: dict(route) for name, route in GUARDED.items()})
    yield module_gateway


def _encoded(character: str) -> st.SearchStrategy[str]:
    upper, lower = f"%{ord(character):02X}", f"%{ord(character):02x}"
    return st.sampled_from([character, character, upper, lower])


def _segment(word: str) -> st.SearchStrategy[str]:
    return st.tuples(*(_encoded(character) for character in word)).map("".join)


SLASH = st.sampled_from(["/", "/", "/", "//", "/./", "/x/../", "/%2e/", "/x/%2e%2e/", "%2f", "%2F", "/../", "/;/",
                         "/.;/"])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.tuples(SLASH, _segment("admin"), SLASH, _segment("secret")))
def test_no_random_spelling_walks_around_the_guard(module_guarded: Gateway, module_origin: Origin,
                                                   parts: tuple[str, ...]) -> None:
    target = "".join(parts)
    target = target if target.startswith("/") else "/" + target
    module_origin.forget()
    response = module_guarded.get(target)
    assert response.status in (200, 400, 403)
    for request in module_origin.requests:
        assert not (as_an_origin_reads_it(request.path) + "/").startswith("/admin/"), f"{target} reached the origin as {request.target}"


NORMAL_FORMS = {
    "/a/b": "/a/b",
    "/a/./b": "/a/b",
    "/a/../b": "/b",
    "/a/b/..": "/a/",
    "/a/b/.": "/a/b/",
    "/a//b///c": "/a/b/c",
    "/a/": "/a/",
    "/%7euser/%41": "/~user/A",
    "/a%3ab%20c": "/a%3Ab%20c",
    "/caf%c3%a9": "/caf%C3%A9",
    "/a:b@c!$&'()*+,;=": "/a:b@c!$&'()*+,;=",
    "/a;p=1/b": "/a;p=1/b",
    "/%2561": "/%2561",
    "/a%3Fb": "/a%3Fb",
    "/a%23b": "/a%23b",
    "/...": "/...",
    "/..a": "/..a",
    "/a.": "/a.",
}


@pytest.mark.parametrize("sent", sorted(NORMAL_FORMS))
def test_the_origin_gets_the_normal_form(module_guarded: Gateway, module_origin: Origin, sent: str) -> None:
    module_origin.forget()
    assert module_guarded.get(sent + "?q=%7e//..").status == 200
    assert module_origin.last.target == NORMAL_FORMS[sent] + "?q=%7e//.."


def test_a_path_is_decoded_once_only(module_guarded: Gateway, module_origin: Origin) -> None:
    """`%2561` is the text `%61`: if it were decoded again it would be an `a`."""
    module_origin.forget()
    assert module_guarded.get("/%2561dmin").status == 200
    assert module_origin.last.target == "/%2561dmin"


def test_case_matters(module_guarded: Gateway) -> None:
    assert module_guarded.get("/ADMIN").status == 200


@pytest.mark.parametrize("target", ["/a%2fb", "/a%2Fb", "/%2f", "/a%5cb/..%2f"])
def test_an_encoded_slash_is_refused_by_default(module_guarded: Gateway, module_origin: Origin, target: str) -> None:
    module_origin.forget()
    assert module_guarded.get(target).status == 400
    assert module_origin.requests == []


def test_a_listener_may_keep_encoded_slashes_inside_their_segment(gateway: Gateway, origin: Origin) -> None:
    gateway.load(listener={"paths": {"encoded_slashes": "keep"}}, routes={"one": {"match": {"path": "/files/{name}"}},
                                                                         "guard": {"match": {"path": "/*"},
                                                                                   "respond": {"status": 403}}})
    assert gateway.get("/files/a%2fb").status == 200
    assert origin.last.target == "/files/a%2Fb"
    assert gateway.get("/files%2fa").status == 403


def test_a_listener_may_decode_slashes_before_matching(gateway: Gateway, origin: Origin) -> None:
    gateway.load(listener={"paths": {"encoded_slashes": "decode"}},
                 routes={name: dict(route) for name, route in GUARDED.items()})
    assert gateway.get("/a%2fb").status == 200
    assert origin.last.target == "/a/b"
    for spelling in ("/admin%2fsecret", "/%2fadmin", "/x%2f..%2fadmin", "/x%2f%2e%2e%2fadmin"):
        assert gateway.get(spelling).status == 403, spelling


def test_a_listener_may_keep_repeated_slashes(gateway: Gateway, origin: Origin) -> None:
    gateway.load(listener={"paths": {"merge_slashes": False}})
    gateway.get("/a//b")
    assert origin.last.target == "/a//b"


def test_a_policy_sees_the_normal_form(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=[{"respond": {"status": 403}, "when": 'request.path == "/admin"'}])
    for spelling in ("/admin", "/%61dmin", "/x/../admin", "//admin"):
        assert gateway.get(spelling).status == 403, spelling
    assert origin.requests == []


def test_the_access_log_shows_the_normal_form(gateway: Gateway) -> None:
    gateway.load()
    gateway.get("/x/../%61")
    assert gateway.access_log()[0]["path"] == "/a"
