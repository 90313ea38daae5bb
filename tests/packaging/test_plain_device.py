"""The plain package, without extras, is a whole device."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packaging.environments import closure, make_environment, run
from tests.places import Place
from tests.world import FIXED, PLATFORM, Vendor

HEAVY = {"babel", "hdiffpatch", "jinja2", "starlette", "uvicorn", "argon2-cffi", "python-debian"}
"""What only an extra may bring."""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the plain package."""
    return make_environment(tmp_path_factory.mktemp("plain"))


def works(python: Path, *arguments: str | Path) -> str:
    answer = run(python, *arguments)
    assert answer.status == 0, answer
    return answer.out


def test_the_plain_package_brings_nothing_that_only_an_extra_needs() -> None:
    assert closure() & HEAVY == set()
    assert closure("page", "vendor") >= HEAVY


@pytest.mark.slow
def test_a_device_without_extras_enrolls_installs_restarts_launches_and_removes(
    plain: Path, vendor: Vendor, place: Place, tmp_path: Path
) -> None:
    root = tmp_path / "root.json"
    root.write_bytes(vendor.root)
    store = ("--store", tmp_path / "store")
    works(plain, "enroll", place.server.url, "--product", vendor.product, "--root", root,
          "--graft", f"engine={place.graft}", "--platform", PLATFORM, *store)  # fmt: skip
    vendor.release({"engine": FIXED})

    assert "26.3.1 (a)" in works(plain, "check", *store)
    works(plain, "install", *store)
    works(plain, "restart", "--yes", *store)
    assert place.text() == FIXED["main.py"]
    assert "26.3.1 (a)" in works(plain, "status", *store)
    program = f"print(open({str(place.graft / 'main.py')!r}).read())"
    assert works(plain, "launch", *store, plain, "-c", program).strip() == "VERSION = 'new'"
    works(plain, "remove", *store)
    assert place.text() == "VERSION = 'old'\n"
