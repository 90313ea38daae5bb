"""What the repository keeps for those who tell the world: times, an address, signatures."""

from __future__ import annotations

import pytest
from tuf.api.metadata import Metadata, Root

from repoint.model.address import AddressError
from repoint.model.baseline import BaselineName
from repoint.repository.errors import RepositoryBusyError, SettingsError
from repoint.repository.files import publication_lock
from repoint.repository.names import catalog_path, improvement_path
from repoint.repository.publication import Publication
from repoint.repository.repository import Repository
from tests.repository.support import no_passphrase

NAME = BaselineName("linux-x86_64", "26.3.1", "25D2128")
FIRST, SECOND = (improvement_path("acme", NAME, letter) for letter in "ab")


def test_the_signed_metadata_says_when_a_target_was_published(repository: Repository) -> None:
    with repository.publication(no_passphrase) as publication:
        publication.add_targets("acme", {FIRST: b"(a)"}, published=1_700_000_000)
        publication.add_targets("acme", {SECOND: b"(b)"})
    assert repository.published(FIRST) == 1_700_000_000
    with repository.publication(no_passphrase) as publication:  # what is published stays
        publication.add_targets("acme", {FIRST: b"(a)"}, published=1_800_000_000)
    assert repository.published(FIRST) == 1_700_000_000
    assert repository.published(SECOND) == repository.published("acme/unknown") == 0


def test_the_public_address_is_kept_without_a_key(repository: Repository) -> None:
    timestamp = (repository.public / "metadata/timestamp.json").read_bytes()
    assert repository.address == ""
    with repository.publication(no_passphrase) as publication:
        publication.serve_at("https://Updates.Example.org:443/repo/")
    assert repository.address == "https://updates.example.org/repo"
    assert (repository.public / "metadata/timestamp.json").read_bytes() == timestamp
    with repository.publication(no_passphrase) as publication:
        publication.put_catalog("acme", b"second catalog")
    assert repository.address == "https://updates.example.org/repo"


@pytest.mark.parametrize(
    "address",
    [
        "http://updates.example.org", "updates.example.org", "https://", "",
        "https://updates.example.org/security/index.html",
        "https://updates.example.org/security/Versions.JSON",
    ],
)  # fmt: skip
def test_an_address_that_others_could_change_on_the_way_is_refused(
    repository: Repository, address: str
) -> None:
    with (
        repository.publication(no_passphrase) as publication,
        pytest.raises(AddressError, match=r"."),
    ):
        publication.serve_at(address)
    assert repository.address == ""


def test_the_name_of_a_folder_may_look_like_a_version(repository: Repository) -> None:
    with repository.publication(no_passphrase) as publication:
        publication.serve_at("https://updates.example.org/acme-26.3")
    assert repository.address == "https://updates.example.org/acme-26.3"


def test_a_wrong_address_in_the_settings_is_one_clear_error(repository: Repository) -> None:
    settings = repository.path / "repository.toml"
    text = settings.read_text().replace('address = ""', 'address = "http://updates.example.org"')
    settings.write_text(text)
    with pytest.raises(SettingsError, match="is not an https address"):
        _ = repository.address


def test_what_follows_a_publication_sees_it_and_nobody_else_publishes_meanwhile(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repoint.repository.files._SECONDS_TO_WAIT", 0.1)
    seen = []

    def look(publication: Publication) -> None:
        seen.append(repository.read_target(catalog_path("acme")))
        with (
            pytest.raises(RepositoryBusyError, match="is publishing to"),
            publication_lock(repository.path / "lock"),
        ):
            pass

    with repository.publication(no_passphrase, afterwards=look) as publication:
        publication.put_catalog("acme", b"second catalog")
    with (
        pytest.raises(ZeroDivisionError),
        repository.publication(no_passphrase, afterwards=look),
    ):
        1 / 0  # noqa: B018
    assert seen == [b"second catalog"]


def test_a_document_is_signed_with_the_keys_that_the_root_lists(repository: Repository) -> None:
    with repository.publication(no_passphrase) as publication:
        publication.rotate("timestamp", [publication.new_key_file("timestamp", None)])
        (signature,) = publication.signatures("timestamp", b"a document")
    root: Metadata[Root] = Metadata.from_bytes(repository.root_bytes())
    root.signed.keys[signature.keyid].verify_signature(signature, b"a document")
    assert signature.keyid in root.signed.roles["timestamp"].keyids
