"""Keys: files, other signers, rotation."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.exceptions import UnsignedMetadataError

from repoint.repository.errors import (
    KeyFileExistsError,
    KeyUnavailableError,
    SettingsError,
    ThresholdError,
    UnknownRoleError,
    WrongPassphraseError,
)
from repoint.repository.keys import generate_key_file, load_signer
from repoint.repository.names import catalog_path
from repoint.repository.repository import Repository
from repoint.repository.settings import RepositorySettings
from tests.repository.support import Device, no_passphrase

MakeDevice = Callable[[Repository], Device]


def load(folder: Path, uri: str, key: SSlibKey, passphrase: bytes = b"right") -> None:
    signer = load_signer(uri, key, lambda _: passphrase, folder=folder, role="root")
    key.verify_signature(signer.sign(b"data"), b"data")


def test_a_key_file_is_private_standard_and_opens_with_its_passphrase(tmp_path: Path) -> None:
    key = generate_key_file(tmp_path / "k.pem", b"right")
    assert (tmp_path / "k.pem").stat().st_mode & 0o777 == 0o600
    load(tmp_path, "file:k.pem", key)
    shown = subprocess.run(
        ["openssl", "pkey", "-in", tmp_path / "k.pem", "-passin", "pass:right", "-text", "-noout"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "ED25519" in shown.stdout.upper()


@pytest.mark.parametrize("passphrase", [b"wrong", b""])
def test_a_wrong_passphrase_is_named(tmp_path: Path, passphrase: bytes) -> None:
    key = generate_key_file(tmp_path / "k.pem", b"right")
    with pytest.raises(WrongPassphraseError, match="does not decrypt the key of role 'root'"):
        load(tmp_path, "file:k.pem", key, passphrase)


def test_of_many_wrong_passphrases_none_is_taken_for_a_damaged_file(tmp_path: Path) -> None:
    # With one in 256, what comes out happens to end like a key.
    key = generate_key_file(tmp_path / "k.pem", b"right")
    for number in range(1_000):
        with pytest.raises(WrongPassphraseError, match="does not decrypt the key of role 'root'"):
            load(tmp_path, "file:k.pem", key, b"wrong %d" % number)


def test_an_empty_passphrase_encrypts_nothing(tmp_path: Path) -> None:
    with pytest.raises(WrongPassphraseError, match="empty"):
        generate_key_file(tmp_path / "k.pem", b"")
    assert not (tmp_path / "k.pem").exists()


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "k.pem").write_text("precious")
    with pytest.raises(KeyFileExistsError):
        generate_key_file(tmp_path / "k.pem", None)
    assert (tmp_path / "k.pem").read_text() == "precious"


def test_a_key_that_is_missing_broken_or_another_is_named(tmp_path: Path) -> None:
    key = generate_key_file(tmp_path / "k.pem", None)
    generate_key_file(tmp_path / "other.pem", None)
    (tmp_path / "junk.pem").write_text("junk")
    with pytest.raises(KeyUnavailableError, match="No such file"):
        load(tmp_path, "file:gone.pem", key)
    for name in ("other.pem", "junk.pem"):
        with pytest.raises(KeyUnavailableError, match="is not the key of role 'root'"):
            load(tmp_path, f"file:{name}", key)


def test_an_unknown_signer_scheme_lists_the_known_ones(tmp_path: Path) -> None:
    key = generate_key_file(tmp_path / "k.pem", None)
    with pytest.raises(KeyUnavailableError, match="unknown scheme 'nokms'") as caught:
        load(tmp_path, "nokms:1", key)
    assert "awskms" in caught.value.hint
    assert "file," in caught.value.hint


def test_another_signer_of_the_library_signs_a_role(
    folder: Path, device: MakeDevice, tmp_path: Path
) -> None:
    signer = CryptoSigner.generate_ecdsa()
    (tmp_path / "ec.pem").write_bytes(signer.private_bytes)
    uri = f"file2:{tmp_path / 'ec.pem'}"
    repository = Repository.create(
        folder, passphrase=None, signers={"root": (uri, signer.public_key)}
    )
    with repository.publication(no_passphrase) as publication:
        publication.add_product("acme", passphrase=None, signers={"acme": (uri, signer.public_key)})
        publication.put_catalog("acme", b"catalog")
    assert device(repository).get(catalog_path("acme")) == b"catalog"
    assert sorted(path.name for path in (folder / "keys").iterdir()) == [
        "acme.catalog.pem",
        "acme.halt.pem",
        "snapshot.pem",
        "targets.pem",
        "timestamp.pem",
    ]
    (tmp_path / "ec.pem").unlink()
    with (
        pytest.raises(KeyUnavailableError, match="cannot be reached at file2:"),
        repository.publication(no_passphrase) as publication,
    ):
        publication.add_targets("acme", {"acme/baselines/linux-x86_64/1/1.json": b""})


@pytest.mark.parametrize(
    "role", ["root", "targets", "snapshot", "timestamp", "acme", "acme.catalog", "acme.halt"]
)
def test_an_old_device_follows_the_rotation_of_any_key(
    repository: Repository, device: MakeDevice, role: str
) -> None:
    reader = device(repository)
    assert reader.get(catalog_path("acme")) == b"first catalog"
    stamp = repository.public / "metadata/timestamp.json"
    before = stamp.read_bytes()
    (old,) = next(s for s in repository.roles() if s.role == role).keys
    with repository.publication(no_passphrase) as publication:
        publication.rotate(role, [publication.new_key_file(role, None)])
    assert stamp.read_bytes() != before
    summary = next(s for s in repository.roles() if s.role == role)
    assert old not in summary.keys
    assert list(summary.keys.values()) == [f"file:keys/{role}@2.pem"]
    assert old not in (repository.path / "repository.toml").read_text()

    (repository.path / f"keys/{role}.pem").unlink()
    with repository.publication(no_passphrase) as publication:
        publication.put_catalog("acme", b"second catalog")
    assert reader.get(catalog_path("acme")) == b"second catalog"
    assert device(repository).get(catalog_path("acme")) == b"second catalog"


@pytest.mark.parametrize("role", ["snapshot", "timestamp", "targets", "acme.catalog"])
def test_a_lost_key_is_replaced_by_its_delegator(
    repository: Repository, device: MakeDevice, role: str
) -> None:
    reader = device(repository)
    (repository.path / f"keys/{role}.pem").unlink()
    with repository.publication(no_passphrase) as publication:
        publication.rotate(role, [publication.new_key_file(role, None)])
        publication.put_catalog("acme", b"second catalog")
    assert reader.get(catalog_path("acme")) == b"second catalog"


def test_root_cannot_change_without_the_old_root_key(repository: Repository) -> None:
    (repository.path / "keys/root.pem").unlink()
    with (
        pytest.raises(KeyUnavailableError, match="key of role 'root'"),
        repository.publication(no_passphrase) as publication,
    ):
        publication.rotate("root", [publication.new_key_file("root", None)])
    assert not (repository.path / "keys/root@2.pem").exists()


def test_two_of_three_root_keys_sign_and_one_is_not_enough(
    repository: Repository, device: MakeDevice
) -> None:
    reader = device(repository)
    with repository.publication(no_passphrase) as publication:
        publication.rotate("root", [publication.new_key_file("root", None) for _ in range(3)], 2)
    assert next(s for s in repository.roles() if s.role == "root").threshold == 2
    (repository.path / "keys/root@2.pem").unlink()
    with repository.publication(no_passphrase) as publication:
        publication.rotate("timestamp", [publication.new_key_file("timestamp", None)])
    assert reader.get(catalog_path("acme")) == b"first catalog"
    (repository.path / "keys/root@3.pem").unlink()
    with (
        pytest.raises(KeyUnavailableError, match="key of role 'root'"),
        repository.publication(no_passphrase) as publication,
    ):
        publication.rotate("timestamp", [publication.new_key_file("timestamp", None)])


def test_a_revoked_key_is_refused_by_devices(repository: Repository, device: MakeDevice) -> None:
    stamp = repository.public / "metadata/timestamp.json"
    old_stamp = stamp.read_bytes()
    with repository.publication(no_passphrase) as publication:
        publication.rotate("timestamp", [publication.new_key_file("timestamp", None)])
    reader = device(repository)
    stamp.write_bytes(old_stamp)
    with pytest.raises(UnsignedMetadataError):
        reader.get(catalog_path("acme"))


def test_a_threshold_that_no_keys_can_meet_is_refused(repository: Repository) -> None:
    with repository.publication(no_passphrase) as publication:
        place = publication.new_key_file("acme", None)
        for keys, threshold in (([], 1), ([place], 0), ([place], 2), ([place, place], 2)):
            with pytest.raises(ThresholdError):
                publication.rotate("acme", keys, threshold)
        with pytest.raises(UnknownRoleError):
            publication.rotate("nobody", [place])


@pytest.mark.parametrize(
    "text",
    ["format = 2", "no toml", "format = 1\nsurprise = 1", "format = 1\n[roles.a]\nexpiry_days = 0"],
)
def test_settings_that_are_not_valid_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "repository.toml").write_text(text)
    with pytest.raises(SettingsError, match="is not valid"):
        RepositorySettings.read(tmp_path)
