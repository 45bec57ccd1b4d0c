"""The Debian package: built from the program under test, installed into a folder, started from there."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.binary import ROOT, environment, turnpike_path
from support.gateway import Gateway

pytestmark = pytest.mark.skipif(not shutil.which("dpkg-shlibdeps"), reason="dpkg-dev is not installed")


def _run(*command: str, **environ: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=environment(environ), check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(_run(str(ROOT / "tools" / "package"), str(turnpike_path()), str(tmp_path_factory.mktemp("package"))).strip())


@pytest.fixture(scope="module")
def root(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    _run("dpkg-deb", "-x", str(package), str(folder))
    return folder


class Packaged(Gateway):
    """Runs the program of the package."""

    root: Path

    @property
    def command(self) -> list[str]:
        return [str(self.root / "usr/bin/turnpike"), "run", "-c", str(self.config_path)]


@pytest.fixture
def packaged(root: Path, tmp_path: Path) -> Iterator[Packaged]:
    gateway = Packaged(tmp_path / "packaged")
    gateway.root = root
    try:
        yield gateway
        gateway.stop()
    finally:
        gateway.kill()


def test_it_holds_what_a_service_needs(root: Path) -> None:
    for path in ("usr/bin/turnpike", "lib/systemd/system/turnpike.service", "etc/turnpike/turnpike.yaml",
                 "etc/logrotate.d/turnpike", "usr/share/man/man1/turnpike.1.gz", "usr/share/man/man5/turnpike.yaml.5.gz",
                 "usr/share/bash-completion/completions/turnpike", "usr/share/zsh/vendor-completions/_turnpike",
                 "usr/share/fish/vendor_completions.d/turnpike.fish", "usr/share/doc/turnpike/copyright"):
        assert (root / path).is_file(), path
    assert b".TH turnpike 1" in gzip.decompress((root / "usr/share/man/man1/turnpike.1.gz").read_bytes())


def test_its_control_data_is_complete(package: Path) -> None:
    assert _run("dpkg-deb", "-f", str(package), "Package").strip() == "turnpike"
    depends = _run("dpkg-deb", "-f", str(package), "Depends")
    for library in ("libssl3", "libyaml-0-2", "libpcre2-8-0", "libc-ares2"):
        assert library in depends
    assert _run("dpkg-deb", "-I", str(package), "conffiles").split() == ["/etc/turnpike/turnpike.yaml",
                                                                         "/etc/logrotate.d/turnpike"]


def test_the_same_program_gives_the_same_package(package: Path, tmp_path: Path) -> None:
    again = Path(_run(str(ROOT / "tools" / "package"), str(turnpike_path()), str(tmp_path)).strip())
    assert again.read_bytes() == package.read_bytes()


def test_it_starts_from_where_it_was_installed_and_serves(packaged: Packaged, root: Path) -> None:
    """With its default configuration, in which only folders and ports are others."""
    text = (root / "etc/turnpike/turnpike.yaml").read_text()
    for old, new in (("/var/lib/turnpike", str(packaged.data_dir)), ("/var/log/turnpike", str(packaged.folder)),
                     ("0.0.0.0:8080", "127.0.0.1:0"), ("127.0.0.1:9000", "127.0.0.1:0")):
        assert old in text
        text = text.replace(old, new)
    packaged.write(text)
    packaged.start()
    response = packaged.client("public").request("GET", "/")
    assert response.status == 200
    assert response.text.startswith("Turnpike is running.")
    assert packaged.admin("/status")["state"] == "ready"
    assert packaged.access_log(1)[0]["path"] == "/"


def test_the_unit_starts_the_packaged_program_with_the_packaged_file(root: Path) -> None:
    unit = (root / "lib/systemd/system/turnpike.service").read_text()
    command = next(line for line in unit.splitlines() if line.startswith("ExecStart=")).removeprefix("ExecStart=").split()
    assert (root / command[0].lstrip("/")).is_file()
    assert (root / command[-1].lstrip("/")).is_file()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("dpkg"), reason="only root can install")
def test_dpkg_installs_upgrades_and_purges_it_in_a_scratch_root(package: Path, tmp_path: Path) -> None:
    database = tmp_path / "var/lib/dpkg"
    for folder in ("info", "updates", "triggers"):
        (database / folder).mkdir(parents=True)
    (database / "status").touch()
    (tmp_path / "etc").mkdir()
    for name, text in (("passwd", "root:x:0:0:root:/root:/bin/bash\n"), ("group", "root:x:0:\n"),
                       ("shadow", "root:*:19000:0:99999:7:::\n"), ("gshadow", "root:*::\n")):
        (tmp_path / "etc" / name).write_text(text)
    dpkg = ("dpkg", f"--root={tmp_path}", "--force-script-chrootless", "--force-depends", "--log=/dev/null")
    path = {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    for _ in range(2):                      # the second time it is an upgrade
        _run(*dpkg, "-i", str(package), **path)
        user = next(line for line in (tmp_path / "etc/passwd").read_text().splitlines() if line.startswith("turnpike:"))
        number = int(user.split(":")[2])
        assert user.endswith(":/usr/sbin/nologin")
        for folder in ("var/lib/turnpike", "var/log/turnpike"):
            assert (tmp_path / folder).stat().st_uid == number
            assert (tmp_path / folder).stat().st_mode & 0o777 == 0o750
        assert (tmp_path / "etc/turnpike/turnpike.yaml").stat().st_mode & 0o777 == 0o640
    _run(*dpkg, "--purge", "turnpike", **path)
    assert not (tmp_path / "var/lib/turnpike").exists()
    assert not (tmp_path / "etc/turnpike/turnpike.yaml").exists()
