"""Ctrl-C at any moment of a publication: nothing remains of it, or it is whole."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from repoint.publisher.catalog.catalogs import read_catalog
from repoint.repository import publication
from repoint.repository.errors import RepositoryBusyError
from repoint.repository.files import exclusive_work, publication_lock
from tests.cli.command import everything
from tests.world import Vendor

STEPS = ("_write_settings", "place", "_drop_old_keys", "new_key_file", "commit", "discard")


def interrupting(call: Callable[..., object]) -> Callable[..., object]:
    """A call that is interrupted as soon as it is done."""

    def then_interrupt(*arguments: object, **more: object) -> object:
        result = call(*arguments, **more)
        os.kill(os.getpid(), signal.SIGINT)
        return result

    return then_interrupt


@pytest.mark.parametrize("step", [*STEPS, "os.replace"])
def test_a_first_registration_is_whole_or_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    vendor = Vendor(tmp_path)
    before = everything(vendor.repository.path)
    if step == "os.replace":
        monkeypatch.setattr(publication.os, "replace", interrupting(os.replace))
    else:
        owner = publication.StagedTargets if step == "place" else publication.Publication
        monkeypatch.setattr(owner, step, interrupting(getattr(owner, step)))
    with pytest.raises(KeyboardInterrupt):
        vendor.baseline()
    monkeypatch.undo()
    if vendor.repository.products():
        assert len(read_catalog(vendor.repository, vendor.product).baselines) == 1
        vendor.release()
    else:
        assert everything(vendor.repository.path) == before
        vendor.baseline()


def test_a_lock_names_its_holder_and_waits_a_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repoint.repository.files._SECONDS_TO_WAIT", 0.1)
    with (
        publication_lock(tmp_path / "lock"),
        pytest.raises(RepositoryBusyError, match=f"Process {os.getpid()} is publishing to"),
        publication_lock(tmp_path / "lock"),
    ):
        pass
    with exclusive_work(tmp_path / "lock", "busy"):
        (tmp_path / "lock").write_bytes(b"")
        with (
            pytest.raises(RepositoryBusyError, match="Another process is busy"),
            exclusive_work(tmp_path / "lock", "busy"),
        ):
            pass
    assert (tmp_path / "lock").read_bytes() == b""


def test_a_second_build_for_a_baseline_names_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repoint.repository.files._SECONDS_TO_WAIT", 0.1)
    vendor = Vendor(tmp_path)
    vendor.baseline()
    (folder,) = (vendor.repository.path / "baselines").glob("*/*/*")
    with (
        exclusive_work(folder / ".25D2128.lock", "building"),
        pytest.raises(RepositoryBusyError, match=f"Process {os.getpid()} is building an"),
    ):
        vendor.improve()
    vendor.improve()
