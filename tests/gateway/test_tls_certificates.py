"""TLS with clients: certificates that change, expire, are stapled, and the secrets that belong to them."""

from __future__ import annotations

import threading
from pathlib import Path

from support.binary import turnpike
from support.certificates import Authority, Issued
from support.gateway import Gateway
from support.origin import Origin
from support.tls_server import connect, load, s_client, shown
from support.wait import wait_until


def test_certificates_are_read_anew_and_no_connection_is_lost(gateway: Gateway, authority: Authority) -> None:
    first = authority.issue("reload.test")
    load(gateway, first)
    with connect(gateway, authority, "reload.test") as connection:
        assert connection.get("/").status == 200 and connection.certificate == first.der
        second = authority.issue("reload.test")
        gateway.reload()
        assert connection.get("/").status == 200, "who is connected stays"
        assert shown(gateway, authority, "reload.test") == second.der


def test_reloads_under_load_lose_nothing(gateway: Gateway, authority: Authority) -> None:
    load(gateway, authority.issue("reload.test"))
    stop, errors, served = threading.Event(), [], []

    def run() -> None:
        try:
            while not stop.is_set():
                with connect(gateway, authority, "reload.test") as connection:
                    for _ in range(5):
                        served.append(connection.get("/").status)
        except BaseException as error:   # noqa: BLE001 - shown below
            errors.append(error)
    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        one = authority.issue("reload.test")
        gateway.reload()
        assert shown(gateway, authority, "reload.test") == one.der
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors and served and set(served) == {200}


def test_what_is_wrong_with_certificates_is_said(gateway: Gateway, authority: Authority, shop: Issued,
                                                 tmp_path: Path) -> None:
    old, other = authority.issue("old.test", days=-2), authority.issue("other.test")
    soon = authority.issue("soon.test", days=3)
    config = gateway.full_config(
        listener={"tls": {"certificates": ["old", "soon", "missing"]}},
        certificates={"mixed": {"certificate": str(shop.pem), "key": str(other.key_path)}, "old": old.config,
                      "soon": soon.config, "gone": {"certificate": "nowhere.pem", "key": str(shop.key_path)},
                      "odd": {"certificate": str(shop.key_path), "key": str(shop.pem)}})
    gateway.write(config)
    said = turnpike("check", str(gateway.config_path)).stderr
    for part in ("certificates.mixed.key: is not the key of the certificate", "expired 2 days ago",
                 "the certificate expires in ", "nowhere.pem`: there is no such file", "no certificate `missing`",
                 "certificates.odd.certificate: there is no certificate in it", "no private key in PEM"):
        assert part in said, said
    assert f"{gateway.config_path}:" in said


def test_metrics_tell_when_certificates_expire(gateway: Gateway, authority: Authority, shop: Issued) -> None:
    soon = authority.issue("soon.test", days=3)
    load(gateway, shop, soon)
    expires = gateway.metrics().value("turnpike_certificate_expires_timestamp_seconds", certificate="c0")
    assert abs(expires - shop.certificate.not_valid_after.timestamp()) < 86400
    wait_until(lambda: "a certificate expires soon" in gateway.log(), what="a warning")


# OCSP


def test_an_ocsp_answer_of_a_file_is_stapled(gateway: Gateway, authority: Authority, shop: Issued,
                                             tmp_path: Path) -> None:
    answer = tmp_path / "shop.ocsp"
    answer.write_bytes(authority.ocsp(shop))
    config = {**shop.config, "ocsp": {"file": str(answer)}}
    gateway.load(listener={"tls": {"certificates": "shop"}}, certificates={"shop": config})
    assert "OCSP Response Status: successful" in s_client(gateway, authority, "-status")
    answer.write_bytes(authority.ocsp(shop, good=False))
    gateway.reload()
    assert "the certificate is revoked; nothing is stapled" in gateway.log()
    assert "OCSP response: no response sent" in s_client(gateway, authority, "-status")


def test_an_ocsp_answer_of_a_file_is_stapled_until_it_expires(gateway: Gateway, authority: Authority, shop: Issued,
                                                              tmp_path: Path) -> None:
    answer = tmp_path / "short.ocsp"
    answer.write_bytes(authority.ocsp(shop, hours=5 / 3600))
    gateway.load(listener={"tls": {"certificates": "shop"}},
                 certificates={"shop": {**shop.config, "ocsp": {"file": str(answer)}}})
    assert "OCSP Response Status: successful" in s_client(gateway, authority, "-status")
    wait_until(lambda: "OCSP response: no response sent" in s_client(gateway, authority, "-status"),
               what="the answer to expire")


def test_ocsp_answers_are_fetched(gateway: Gateway, authority: Authority, second_origin: Origin) -> None:
    shop = authority.issue("shop.test", file="stapled", ocsp_url=second_origin.url + "/ocsp")
    second_origin.reply(200, {"Content-Type": "application/ocsp-response"}, authority.ocsp(shop))
    gateway.load(listener={"tls": {"certificates": "shop"}},
                 certificates={"shop": {**shop.config, "ocsp": {"fetch": True}}})
    wait_until(lambda: gateway.metrics().value("turnpike_ocsp_expires_timestamp_seconds") > 0, what="an answer")
    assert second_origin.last.method == "POST"
    assert "OCSP Response Status: successful" in s_client(gateway, authority, "-status")



# Secrets


def dumped_memory(pid: int) -> bytes:
    """What a core file of the process would hold of its own writable memory."""
    wanted: list[tuple[int, int]] = []
    region = (0, 0)
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            start, end = (int(part, 16) for part in words[0].split("-"))
            region = (start, end) if words[1].startswith("rw") and end - start < 256 << 20 else (0, 0)
        elif words[0] == "VmFlags:" and region[1] and "dd" not in words:
            wanted.append(region)
    parts = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end in wanted:
            memory.seek(start)
            try:
                parts.append(memory.read(end - start))
            except OSError:
                pass
    return b"".join(parts)


def test_private_keys_are_not_in_what_a_core_file_holds(gateway: Gateway, authority: Authority, shop: Issued) -> None:
    load(gateway, shop)
    assert shown(gateway, authority, "shop.test") == shop.der
    gateway.reload()
    memory = dumped_memory(gateway.worker_pid)
    assert b"turnpike" in memory, "the memory was read"
    secret = shop.key.private_numbers().private_value     # type: ignore[union-attr]
    text = shop.key_path.read_bytes().splitlines()[1]
    assert text not in memory
    assert secret.to_bytes(32, "big") not in memory
    assert secret.to_bytes(32, "little") not in memory


def test_a_key_log_is_warned_of_and_written(gateway: Gateway, authority: Authority, shop: Issued,
                                            tmp_path: Path) -> None:
    path = tmp_path / "keys.log"
    load(gateway, shop, tls={"key_log": str(path)})
    assert shown(gateway, authority, "shop.test") == shop.der
    assert "whoever reads this file reads all traffic" in gateway.log()
    wait_until(lambda: "CLIENT_TRAFFIC_SECRET_0" in path.read_text(), what="the secrets of the connection")
    assert path.stat().st_mode & 0o077 == 0
