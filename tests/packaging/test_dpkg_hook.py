"""The package's hook of dpkg: what dpkg writes through a graft point is noticed at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repoint.model.baseline import BaselineName
from tests.cli.command import works
from tests.places import Place
from tests.world import OLD, PLATFORM, Files, Vendor, write_tree

CONFIGURATION = Path(__file__).parents[2] / "packaging/debian/repoint.cfg"
NEXT = BaselineName(PLATFORM, "26.4", "26A1")
FULL: Files = {**OLD, "main.py": "VERSION = '26.4'\n"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root runs dpkg"),
    pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg"),
]


def package(folder: Path, version: str, graft: Path, files: Files, name: str = "kiosk") -> Path:
    """Build a package that owns the folder that is the graft point."""
    content = folder / f"package-{version}"
    write_tree(content / graft.relative_to("/"), files)
    (content / "DEBIAN").mkdir()
    (content / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\n"
        "Maintainer: A <a@example.com>\nDescription: x\n"
    )
    file = folder / f"{name}_{version}.deb"
    subprocess.run(["dpkg-deb", "-b", content, file], check=True, stdout=subprocess.DEVNULL)
    return file


def dpkg(folder: Path, store: Path, *arguments: str | Path) -> str:
    """Run dpkg on a database of its own, with the hook that the package installs."""
    database = folder / "dpkg"
    for name in ("info", "updates"):
        (database / name).mkdir(parents=True, exist_ok=True)
    (database / "status").touch()
    (hook,) = (
        line for line in CONFIGURATION.read_text().splitlines() if line and line[0] not in "#"
    )
    option, _, command = hook.partition("=")
    assert "/usr/bin/repoint" in command
    command = command.replace("/usr/bin/repoint", str(Path(sys.executable).with_name("repoint")))
    done = subprocess.run(
        ["dpkg", f"--admindir={database}", f"--{option}={command}", *arguments],
        env={**os.environ, "REPOINT_STORE": str(store)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def owned(place: Place, vendor: Vendor, tmp_path: Path) -> Place:
    """A device whose product came from a package, with an improvement in force."""
    dpkg(tmp_path, tmp_path / "none", "-i", package(tmp_path, "1", place.graft, OLD))
    place.enroll()
    vendor.release()
    place.update()
    return place


def test_a_full_update_by_dpkg_is_noticed_at_once_and_adopted_by_the_next_run(
    owned: Place, vendor: Vendor, tmp_path: Path
) -> None:
    store = owned.folder / "store"
    vendor.baseline({"engine": FULL}, name=NEXT)
    output = dpkg(tmp_path, store, "-i", package(tmp_path, "2", owned.graft, FULL))
    assert "acme-kiosk: engine was changed by something else. Run `repoint check`." in output
    assert not owned.device.status(None).protected
    # The last check was a moment ago; the change makes the next one due.
    works("agent", "run-once", "--if-due", "--store", store)
    status = owned.device.status(None)
    assert (status.in_force, status.protected) == ("26.4", True)
    assert owned.text() == "VERSION = '26.4'\n"


def test_what_no_vendor_knows_is_noticed_and_never_called_protected(
    owned: Place, tmp_path: Path
) -> None:
    store = owned.folder / "store"
    output = dpkg(tmp_path, store, "-i", package(tmp_path, "2", owned.graft, FULL))
    assert "engine was changed by something else" in output
    assert not owned.device.status(None).protected


def test_a_package_that_has_nothing_to_do_with_a_product_is_silent(
    owned: Place, tmp_path: Path
) -> None:
    other = package(tmp_path, "3", tmp_path / "elsewhere", {"a": "a"}, "other")
    assert "changed by something else" not in dpkg(tmp_path, owned.folder / "store", "-i", other)


def test_a_store_that_is_damaged_or_missing_does_not_fail_dpkg(
    owned: Place, tmp_path: Path
) -> None:
    other = package(tmp_path, "3", tmp_path / "elsewhere", {"a": "a"}, "other")
    dpkg(tmp_path, tmp_path / "none", "-i", other)
    (owned.product.path / "enrolment.json").write_text("{")
    dpkg(tmp_path, owned.folder / "store", "-i", other)
