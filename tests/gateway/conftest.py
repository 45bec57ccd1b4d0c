"""Fixtures of the gateway's tests: whose certificates are used."""

from __future__ import annotations

import pytest

from support.certificates import Authority, Issued


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("other"), "other authority")


@pytest.fixture(scope="module")
def shop(authority: Authority) -> Issued:
    return authority.issue("shop.test")


@pytest.fixture(scope="module")
def client(authority: Authority) -> Issued:
    return authority.issue("client.test", "URI:spiffe://test/client", file="client")
