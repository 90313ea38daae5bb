"""A publication that is killed or fails at any write leaves what was served whole."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repoint.model.baseline import BaselineName
from repoint.repository.errors import RepositoryWriteError
from repoint.repository.names import catalog_path, improvement_path
from repoint.repository.publication import Publication
from repoint.repository.repository import Repository
from tests.repository.support import Device, no_passphrase

IMPROVEMENT = improvement_path("acme", BaselineName("linux-x86_64", "26.3.1", "25D2128"), "a")
MakeDevice = Callable[[Repository], Device]


def publish(publication: Publication) -> None:
    publication.add_targets("acme", {IMPROVEMENT: b"(a)"})
    publication.put_catalog("acme", b"second catalog")


def publish_and_rotate(publication: Publication) -> None:
    publish(publication)
    for role in ("root", "targets", "snapshot", "timestamp", "acme", "acme.catalog"):
        publication.rotate(role, [publication.new_key_file(role, None)])


@contextlib.contextmanager
def trouble_at(call: int, make_trouble: Callable[[], None]) -> Iterator[list[str]]:
    """Make trouble instead of the nth rename or sync."""
    calls: list[str] = []
    former: dict[str, Callable[..., None]] = {"replace": os.replace, "fsync": os.fsync}

    def counted(name: str) -> Callable[..., None]:
        def run(*args: object) -> None:
            calls.append(name)
            if len(calls) == call:
                make_trouble()
            former[name](*args)

        return run

    try:
        for name in former:
            setattr(os, name, counted(name))
        yield calls
    finally:
        for name, function in former.items():
            setattr(os, name, function)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def full_disk() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def in_a_process_of_its_own(run: Callable[[], None]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pid = os.fork()
    if pid == 0:
        try:
            run()
        finally:
            os._exit(0)
    return os.waitpid(pid, 0)[1]


Seen = tuple[bytes | None, ...]


def seen_by(reader: Device) -> Seen:
    return reader.get_all(catalog_path("acme"), IMPROVEMENT)


OLD: Seen = (b"first catalog", None)
NEW: Seen = (b"second catalog", b"(a)")


@pytest.mark.slow
@pytest.mark.parametrize("change", [publish, publish_and_rotate])
def test_killed_at_any_write_it_serves_the_old_state_or_the_new_one(
    repository: Repository,
    device: MakeDevice,
    change: Callable[[Publication], None],
    tmp_path: Path,
) -> None:
    shutil.copytree(repository.path, tmp_path / "before")
    faithful = device(repository)
    outcomes = []
    for call in range(1, 200):
        shutil.rmtree(repository.path)
        shutil.copytree(tmp_path / "before", repository.path)

        def run(call: int = call) -> None:
            with trouble_at(call, kill), repository.publication(no_passphrase) as publication:
                change(publication)

        status = in_a_process_of_its_own(run)
        if not os.WIFSIGNALED(status):
            break
        # Root renames come after each other, so a device may stand anywhere in the chain.
        fresh, old_device = (
            device(repository),
            Device(tmp_path / f"old{call}", faithful.url, faithful.root),
        )
        outcomes.append(seen_by(fresh))
        assert seen_by(old_device) == outcomes[-1]

        with repository.publication(no_passphrase) as publication:
            change(publication)
            publication.put_catalog("acme", b"third catalog")
        assert not (repository.path / "staging").exists()
        assert seen_by(old_device) == (b"third catalog", b"(a)")
    assert set(outcomes) == {OLD, NEW}
    assert outcomes == sorted(outcomes, key=[OLD, NEW].index)


@pytest.mark.slow
@pytest.mark.parametrize("change", [publish, publish_and_rotate])
def test_a_full_disk_at_any_write_is_one_clear_error(
    repository: Repository,
    device: MakeDevice,
    change: Callable[[Publication], None],
    tmp_path: Path,
) -> None:
    shutil.copytree(repository.path, tmp_path / "before")
    outcomes = []
    for call in range(1, 200):
        shutil.rmtree(repository.path)
        shutil.copytree(tmp_path / "before", repository.path)
        try:
            with trouble_at(call, full_disk), repository.publication(no_passphrase) as publication:
                change(publication)
        except RepositoryWriteError as error:
            seen = seen_by(device(repository))
            outcomes.append(seen)
            assert "No space left on device" in error.message
            assert ("still served" in error.hint) == (seen == OLD)
            assert not (repository.path / "staging").exists()
        else:
            break
    assert outcomes.count(OLD) > 10
    assert seen_by(device(repository)) == NEW


def test_files_of_a_killed_publication_are_cleaned_up_by_the_next(repository: Repository) -> None:
    metadata = repository.public / "metadata"
    former = os.replace

    def kill_before_the_timestamp(staged: Path, path: Path) -> None:
        if path == metadata / "timestamp.json":
            kill()
        former(staged, path)

    def run() -> None:
        os.replace = kill_before_the_timestamp  # type: ignore[assignment]
        with repository.publication(no_passphrase) as publication:
            publish(publication)

    assert os.WIFSIGNALED(in_a_process_of_its_own(run))
    left = {path.name for path in metadata.iterdir()}
    assert {"2.acme.json", "2.acme.catalog.json", "3.snapshot.json"} <= left
    assert (repository.path / "staging").exists()
    assert repository.read_target(catalog_path("acme")) == b"first catalog"
    with repository.publication(no_passphrase):
        pass
    kept = {path.name for path in metadata.iterdir()}
    assert left - kept == {"2.acme.json", "2.acme.catalog.json", "3.snapshot.json"}
    assert not (repository.path / "staging").exists()


@pytest.mark.parametrize("change", [publish, publish_and_rotate])
def test_all_that_a_timestamp_refers_to_is_on_disk_before_it_has_its_name(
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Publication], None],
) -> None:
    synced: set[Path] = set()
    unsynced: set[Path] = set()
    stamps = []
    rename = os.replace

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.add(path)
        unsynced.difference_update({p for p in unsynced if p.parent == path})

    def replace(staged: Path, path: Path) -> None:
        assert staged in synced
        if path.name == "timestamp.json":
            assert not unsynced
            stamps.append(path)
        rename(staged, path)
        unsynced.add(path)

    monkeypatch.setattr("os.fsync", fsync)
    monkeypatch.setattr("os.replace", replace)
    with repository.publication(no_passphrase) as publication:
        change(publication)
    assert not unsynced
    assert len(stamps) == (2 if change is publish_and_rotate else 1)
