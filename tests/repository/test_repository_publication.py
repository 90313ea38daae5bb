"""What a publication does to what devices see."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import ExpiredMetadataError
from tuf.api.metadata import (
    Key,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from repoint.model.baseline import BaselineName
from repoint.model.errors import NameNotAllowedError
from repoint.repository.errors import (
    DamagedRepositoryError,
    KeyUnavailableError,
    NoSuchTargetError,
    NotARepositoryError,
    ProductExistsError,
    RepositoryBusyError,
    RepositoryExistsError,
    RepositoryWriteError,
    TargetExistsError,
    TargetNotAllowedError,
    UnknownProductError,
    WrongPassphraseError,
)
from repoint.repository.keys import load_signer
from repoint.repository.names import (
    baseline_path,
    catalog_path,
    halt_path,
    improvement_path,
    patch_path,
)
from repoint.repository.repository import Repository
from tests.repository.support import Device, no_passphrase

AT = ("acme", BaselineName("linux-x86_64", "26.3.1", "25D2128"))
BASELINE = baseline_path(*AT)
IMPROVEMENT = improvement_path(*AT, "a")
PATCH = patch_path(*AT, "a", "pillow")
MakeDevice = Callable[[Repository], Device]


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_device_gets_what_was_published(
    repository: Repository, device: MakeDevice, tmp_path: Path
) -> None:
    big = tmp_path / "big"
    big.write_bytes(os.urandom(3 << 20))
    with repository.publication(no_passphrase) as publication:
        publication.add_targets("acme", {BASELINE: b"baseline", IMPROVEMENT: b"(a)", PATCH: big})
    reader = device(repository)
    assert reader.get(BASELINE) == b"baseline"
    assert reader.get(IMPROVEMENT) == b"(a)"
    assert reader.get(PATCH) == big.read_bytes()
    assert reader.get(catalog_path("acme")) == b"first catalog"
    assert repository.products() == ["acme"]
    assert repository.target_paths("acme") == sorted(
        [BASELINE, IMPROVEMENT, PATCH, "acme/catalog.json"]
    )
    assert repository.read_target(IMPROVEMENT) == b"(a)"
    assert repository.target_exists(PATCH)
    assert not repository.target_exists(improvement_path(*AT, "b"))


def test_names_with_plus_tilde_and_dots_are_served(
    repository: Repository, device: MakeDevice
) -> None:
    path = baseline_path("acme.c++", BaselineName("linux-x86_64", "4.0~rc1+2", "1"))
    with repository.publication(no_passphrase) as publication:
        publication.add_product("acme.c++", passphrase=None)
        publication.add_targets("acme.c++", {path: b"baseline"})
    assert device(repository).get(path) == b"baseline"


def test_only_public_files_are_readable_by_others_and_nothing_is_left_behind(
    folder: Path,
) -> None:
    former = os.umask(0o077)
    try:
        repository = Repository.create(folder, passphrase=None)
        with repository.publication(no_passphrase) as publication:
            publication.add_product("acme", passphrase=None)
            publication.add_targets("acme", {BASELINE: b"baseline"})
    finally:
        os.umask(former)
    assert sorted(p.name for p in folder.iterdir()) == ["keys", "lock", "public", "repository.toml"]
    for path in (folder / "public").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)
    assert (folder / "keys").stat().st_mode & 0o777 == 0o700
    for path in [*(folder / "keys").iterdir(), folder / "repository.toml"]:
        assert path.stat().st_mode & 0o777 == 0o600


def test_every_role_has_a_key_of_its_own_and_its_expiry(folder: Path) -> None:
    now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    repository = Repository.create(folder, passphrase=None, now=lambda: now)
    with repository.publication(no_passphrase, now=lambda: now) as publication:
        publication.add_product("acme", passphrase=None)
    days = {summary.role: (summary.expires - now).days for summary in repository.roles()}
    assert days == {
        "root": 365,
        "targets": 365,
        "snapshot": 30,
        "timestamp": 7,
        "acme": 365,
        "acme.catalog": 90,
        "acme.halt": 90,
    }
    keys = [keyid for summary in repository.roles() for keyid in summary.keys]
    assert len(set(keys)) == len(keys) == 7
    assert all(uri for summary in repository.roles() for uri in summary.keys.values())


def test_a_catalog_needs_only_the_online_keys(repository: Repository, device: MakeDevice) -> None:
    for role in ("root", "targets", "acme"):
        (repository.path / f"keys/{role}.pem").unlink()
    with repository.publication(no_passphrase) as publication:
        publication.put_catalog("acme", b"second catalog")
    assert device(repository).get(catalog_path("acme")) == b"second catalog"
    with (
        pytest.raises(KeyUnavailableError, match="key of role 'acme'"),
        repository.publication(no_passphrase) as publication,
    ):
        publication.add_targets("acme", {BASELINE: b"baseline"})


def test_passphrases_are_asked_once_and_only_for_the_keys_that_sign(folder: Path) -> None:
    roles: list[str] = []

    def passphrases(role: str) -> bytes:
        roles.append(role)
        return b"correct horse"

    repository = Repository.create(folder, passphrase=b"correct horse")
    with repository.publication(passphrases) as publication:
        publication.add_product("acme", passphrase=b"correct horse")
        publication.put_catalog("acme", b"one")
    assert roles == ["targets", "snapshot", "timestamp"]
    roles.clear()
    with repository.publication(passphrases) as publication:
        publication.put_catalog("acme", b"two")
        publication.put_catalog("acme", b"three")
    assert roles == ["acme.catalog", "snapshot", "timestamp"]
    assert b"ENCRYPTED" in (folder / "keys/root.pem").read_bytes()


def test_a_wrong_passphrase_publishes_nothing(folder: Path) -> None:
    repository = Repository.create(folder, passphrase=b"right")
    before = files_of(folder / "public")
    with (
        pytest.raises(WrongPassphraseError, match="does not decrypt the key of role 'targets'"),
        repository.publication(lambda _: b"wrong") as publication,
    ):
        publication.add_product("acme", passphrase=b"right")
    assert files_of(folder / "public") == before


def test_a_reader_sees_what_another_publishes_and_never_what_was_given_up(
    repository: Repository,
) -> None:
    reader = Repository.open(repository.path)
    assert reader.read_target(catalog_path("acme")) == b"first catalog"
    with (
        pytest.raises(ZeroDivisionError),
        repository.publication(no_passphrase) as publication,
    ):
        publication.put_catalog("acme", b"given up")
        raise ZeroDivisionError
    for each in (reader, repository):
        assert each.read_target(catalog_path("acme")) == b"first catalog"
    with repository.publication(no_passphrase) as publication:
        publication.put_catalog("acme", b"second catalog")
    for each in (reader, repository):
        assert each.read_target(catalog_path("acme")) == b"second catalog"


def test_the_metadata_is_read_once_for_many_targets(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    with repository.publication(no_passphrase) as publication:
        publication.add_targets("acme", {BASELINE: b"baseline", IMPROVEMENT: b"(a)"})
    verified: list[bytes] = []
    verify: Callable[[bytes], Metadata[Any]] = Metadata.from_bytes

    def counted(data: bytes) -> Metadata[Any]:
        verified.append(data)
        return verify(data)

    monkeypatch.setattr(Metadata, "from_bytes", counted)
    repository.read_target(BASELINE)
    once = len(verified)
    for _ in range(100):
        repository.read_target(IMPROVEMENT)
    assert len(verified) == once > 0


def test_publishing_the_same_again_changes_nothing(repository: Repository) -> None:
    with repository.publication(no_passphrase) as publication:
        publication.add_targets("acme", {BASELINE: b"baseline"})
    before = files_of(repository.public)
    with repository.publication(no_passphrase) as publication:
        publication.add_targets("acme", {BASELINE: b"baseline"})
        publication.put_catalog("acme", b"first catalog")
    assert files_of(repository.public) == before


def test_what_is_published_never_changes(repository: Repository) -> None:
    with repository.publication(no_passphrase) as publication:
        publication.add_targets("acme", {IMPROVEMENT: b"(a)"})
    with (
        pytest.raises(TargetExistsError, match="already published with different content"),
        repository.publication(no_passphrase) as publication,
    ):
        publication.add_targets("acme", {IMPROVEMENT: b"another (a)"})
    assert repository.read_target(IMPROVEMENT) == b"(a)"


def test_an_error_in_the_block_publishes_nothing_and_leaves_nothing(repository: Repository) -> None:
    before = files_of(repository.path)
    with pytest.raises(ZeroDivisionError), repository.publication(no_passphrase) as publication:
        publication.add_product("other", passphrase=None)
        publication.add_targets("acme", {BASELINE: b"baseline"})
        raise ZeroDivisionError
    assert files_of(repository.path) == before
    assert not (repository.path / "staging").exists()


@pytest.mark.parametrize(
    "path",
    [
        "other/baselines/linux-x86_64/1/1.json",
        "acme/baselines/linux-x86_64/1.json",
        "acme/improvements/linux-x86_64/1/1/a/b.json",
        "acme/patches/linux-x86_64/1/1/a/pillow.json",
        "acme/catalog.json",
        "/etc/passwd",
        "acme/../root.json",
    ],
)
def test_a_product_signs_only_paths_of_its_own(repository: Repository, path: str) -> None:
    with (
        pytest.raises(TargetNotAllowedError),
        repository.publication(no_passphrase) as publication,
    ):
        publication.add_targets("acme", {path: b""})


def test_a_product_needs_a_name_of_its_own(repository: Repository) -> None:
    with repository.publication(no_passphrase) as publication:
        with pytest.raises(ProductExistsError):
            publication.add_product("acme", passphrase=None)
        for name in (
            "root",
            "targets",
            "snapshot",
            "timestamp",
            "acme.catalog",
            "acme.halt",
            "A",
            "..",
        ):
            with pytest.raises(NameNotAllowedError):
                publication.add_product(name, passphrase=None)
        for name in ("other", "targets"):
            with pytest.raises(UnknownProductError):
                publication.add_targets(name, {BASELINE: b""})
        with pytest.raises(UnknownProductError):
            publication.put_catalog("other", b"")
    with pytest.raises(UnknownProductError):
        repository.target_paths("other")


def test_a_device_ignores_an_improvement_signed_by_the_catalog_key(
    repository: Repository, device: MakeDevice
) -> None:
    forged = TargetFile.from_data(IMPROVEMENT, b"forged", ["sha256"])
    place = repository.public / "targets" / forged.get_prefixed_paths()[0]
    place.parent.mkdir(parents=True)
    place.write_bytes(b"forged")
    metadata = repository.public / "metadata"

    def sign(role: str, md: Metadata[Targets] | Metadata[Snapshot] | Metadata[Timestamp]) -> bytes:
        summary = next(s for s in repository.roles() if s.role == role)
        (keyid,) = summary.keys
        key = next(
            holder[keyid]
            for path in (
                metadata / "1.root.json",
                metadata / "2.targets.json",
                metadata / "1.acme.json",
            )
            if keyid in (holder := keys_in(path))
        )
        md.signed.version += 1
        uri = summary.keys[keyid]
        md.sign(load_signer(uri, key, no_passphrase, folder=repository.path, role=role))
        return md.to_bytes()

    catalog: Metadata[Targets] = Metadata.from_file(str(metadata / "1.acme.catalog.json"))
    catalog.signed.targets[IMPROVEMENT] = forged
    data = sign("acme.catalog", catalog)
    snapshot: Metadata[Snapshot] = Metadata.from_file(str(metadata / "2.snapshot.json"))
    snapshot.signed.meta["acme.catalog.json"] = MetaFile.from_data(2, data, ["sha256"])
    snapshot_data = sign("snapshot", snapshot)
    timestamp: Metadata[Timestamp] = Metadata.from_file(str(metadata / "timestamp.json"))
    timestamp.signed.snapshot_meta = MetaFile.from_data(3, snapshot_data, ["sha256"])
    timestamp_data = sign("timestamp", timestamp)
    (metadata / "2.acme.catalog.json").write_bytes(data)
    (metadata / "3.snapshot.json").write_bytes(snapshot_data)
    (metadata / "timestamp.json").write_bytes(timestamp_data)

    reader = device(repository)
    assert reader.get(catalog_path("acme")) == b"first catalog"
    assert reader.get(IMPROVEMENT) is None


def keys_in(path: Path) -> dict[str, Key]:
    signed: Signed = Metadata.from_file(str(path)).signed
    if isinstance(signed, Root):
        return signed.keys
    assert isinstance(signed, Targets)
    assert signed.delegations is not None
    return signed.delegations.keys


def test_refresh_renews_what_expires_soon_and_names_what_it_cannot(
    folder: Path, device: MakeDevice
) -> None:
    start = datetime.now(UTC) - timedelta(days=80)
    repository = Repository.create(folder, passphrase=None, now=lambda: start)
    with repository.publication(no_passphrase, now=lambda: start) as publication:
        publication.add_product("acme", passphrase=None)
        publication.put_catalog("acme", b"catalog")
    with pytest.raises(ExpiredMetadataError):
        device(repository).get(catalog_path("acme"))
    (folder / "keys/acme.pem").unlink()
    with repository.publication(no_passphrase) as publication:
        assert publication.refresh() == []
    assert device(repository).get(catalog_path("acme")) == b"catalog"
    versions = {summary.role: summary.version for summary in repository.roles()}
    assert versions == {
        "root": 1,
        "targets": 2,
        "snapshot": 3,
        "timestamp": 3,
        "acme": 1,
        "acme.catalog": 2,
        "acme.halt": 2,
    }
    with repository.publication(
        no_passphrase, now=lambda: start + timedelta(days=300)
    ) as publication:
        assert publication.refresh() == ["acme"]


def test_a_halt_needs_the_key_of_its_role_and_never_that_of_the_catalog(
    repository: Repository, device: MakeDevice
) -> None:
    assert device(repository).get(halt_path("acme")) is None
    for role in ("root", "targets", "acme", "acme.catalog"):
        (repository.path / f"keys/{role}.pem").unlink()
    with repository.publication(no_passphrase) as publication:
        publication.put_halt("acme", b"halt")
    assert device(repository).get(halt_path("acme")) == b"halt"
    with (
        pytest.raises(KeyUnavailableError, match=r"key of role 'acme\.catalog'"),
        repository.publication(no_passphrase) as publication,
    ):
        publication.put_catalog("acme", b"offer")


def test_only_the_role_of_halts_signs_them(repository: Repository) -> None:
    with (
        pytest.raises(TargetNotAllowedError, match="signed by a role of its own"),
        repository.publication(no_passphrase) as publication,
    ):
        publication.add_targets("acme", {halt_path("acme"): b"halt"})


def test_the_timestamp_lives_one_day_while_something_is_kept_fresh(
    repository: Repository,
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)

    def lifetime(at: datetime, until: datetime | None = None) -> int:
        with repository.publication(no_passphrase, now=lambda: at) as publication:
            if until is not None:
                publication.keep_fresh("acme", int(until.timestamp()))
            publication.refresh()
        timestamp = next(s for s in repository.roles() if s.role == "timestamp")
        return (timestamp.expires - at).days

    assert lifetime(now) == 7
    assert lifetime(now, now + timedelta(days=3)) == 1
    assert lifetime(now + timedelta(days=2)) == 1
    assert lifetime(now + timedelta(days=4)) == 7
    assert lifetime(now + timedelta(days=4), now) == 7


def test_two_timestamps_within_one_second_have_different_times(repository: Repository) -> None:
    times = set()
    for n in range(4):
        with repository.publication(no_passphrase) as publication:
            publication.put_catalog("acme", b"%d" % n)
        times.add(int((repository.public / "metadata/timestamp.json").stat().st_mtime))
    assert len(times) == 4


def test_a_second_publication_says_who_is_at_work(repository: Repository) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from repoint.repository.repository import Repository\n"
        "with Repository.open(Path(sys.argv[1])).publication(lambda role: b''):\n"
        "    print('ready', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(repository.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with (
            pytest.raises(RepositoryBusyError, match=f"Process {other.pid} is publishing"),
            repository.publication(no_passphrase),
        ):
            pass
        other.communicate()
    with repository.publication(no_passphrase) as publication:
        publication.put_catalog("acme", b"second")


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotARepositoryError, match="no repository at"):
        Repository.open(tmp_path / "nowhere")
    (tmp_path / "half").mkdir()
    (tmp_path / "half/.unfinished").touch()
    (tmp_path / "half/repository.toml").touch()
    with pytest.raises(NotARepositoryError, match="is incomplete"):
        Repository.open(tmp_path / "half")
    Repository.create(tmp_path / "half", passphrase=None)
    assert Repository.open(tmp_path / "half").products() == []


def test_a_repository_is_made_only_where_nothing_is(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(RepositoryExistsError, match="already a repository"):
        Repository.create(repository.path, passphrase=None)
    (tmp_path / "used").mkdir()
    (tmp_path / "used/file").write_text("mine")
    for place in (tmp_path / "used", tmp_path / "used/file"):
        with pytest.raises(RepositoryExistsError, match="not an empty folder"):
            Repository.create(place, passphrase=None)
    with pytest.raises(RepositoryWriteError, match="could not be created"):
        Repository.create(tmp_path / "used/file/below", passphrase=None)
    assert (tmp_path / "used/file").read_text() == "mine"


def test_a_failed_creation_leaves_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    key = CryptoSigner.generate_ed25519().public_key
    with pytest.raises(KeyUnavailableError):
        Repository.create(tmp_path / "r", passphrase=None, signers={"root": ("nokms:1", key)})
    assert list((tmp_path / "r").iterdir()) == []
    Repository.create(tmp_path / "r", passphrase=None)


def test_a_damaged_repository_is_named(repository: Repository) -> None:
    with repository.publication(no_passphrase) as publication:
        publication.add_targets("acme", {BASELINE: b"baseline"})
    (target,) = (repository.public / "targets/acme/baselines").rglob("*.json")
    target.write_bytes(b"tampered")
    with pytest.raises(DamagedRepositoryError, match="differs from what was signed"):
        repository.read_target(BASELINE)
    with pytest.raises(NoSuchTargetError):
        repository.read_target(IMPROVEMENT)
    snapshot = repository.public / "metadata/3.snapshot.json"
    snapshot.write_bytes(snapshot.read_bytes().replace(b"acme", b"emca"))
    with pytest.raises(DamagedRepositoryError, match="damaged"):
        Repository.open(repository.path).products()
    snapshot.unlink()
    with pytest.raises(DamagedRepositoryError, match=r"3\.snapshot\.json cannot be read"):
        Repository.open(repository.path).products()


def test_a_missing_source_file_publishes_nothing(repository: Repository, tmp_path: Path) -> None:
    before = files_of(repository.path)
    with (
        pytest.raises(RepositoryWriteError, match="No such file"),
        repository.publication(no_passphrase) as publication,
    ):
        publication.add_targets("acme", {PATCH: tmp_path / "missing"})
    assert files_of(repository.path) == before
