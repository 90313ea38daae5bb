"""Read what each letter fixes from a repository, at an address or in a folder.

The update framework verifies what is read. Its first root is taken as the repository gives it: what
is read here decides what a chart shows, and nothing else.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.api.metadata import Metadata, Targets
from tuf.ngclient import FetcherInterface, Updater

from repoint.fleet.advisories.exposure import BaselineKey, Fixes
from repoint.fleet.records import LetterName, SignedNames
from repoint.model.catalog import Catalog
from repoint.model.encoding import decode_record
from repoint.model.errors import InvalidRecordError, RepointError
from repoint.model.improvement import Improvement
from repoint.model.renamed_ids import current_ids
from repoint.model.version import Letter
from repoint.repository.names import catalog_path, improvement_path

_BLOCK: Final = 1 << 20


class AdvisoriesError(RepointError):
    """The repository cannot be read."""


class _Claims(NamedTuple):
    """What a letter claims to fix, and which ids of earlier letters it corrects."""

    cves: tuple[str, ...]
    renamed: Mapping[str, str]


class Advisories:
    """What each letter of all products fixes, as it was last read."""

    def __init__(self, repository: str) -> None:
        """Name a repository.

        Args:
            repository: Its address, or its folder: the vendor's own, or what a server serves.
        """
        self._is_folder = "://" not in repository
        if self._is_folder:
            folder = Path(repository)
            folder = folder / "public" if (folder / "public").is_dir() else folder
            self._url = folder.absolute().as_uri()
        else:
            self._url = repository.rstrip("/")
        self._name = repository
        self._lock = threading.Lock()
        self._letters: dict[BaselineKey, dict[str, _Claims]] = {}
        self._products: frozenset[str] | None = None
        self._signed: SignedNames | None = None

    def products(self) -> frozenset[str] | None:
        """Return the products of the repository; None until it was read once."""
        with self._lock:
            return self._products

    def fixes(self, product: str) -> Fixes:
        """Return what the letters of a product fix; nothing until it was read once."""
        with self._lock:
            letters = {
                key: dict(one) for key, one in self._letters.items() if key.product == product
            }
        return {key: _fixes_of(one) for key, one in letters.items()}

    def signed(self) -> SignedNames | None:
        """Return what the documents of the repository name; None until it was read once.

        What an earlier catalog named stays: devices report about it for weeks.
        """
        with self._lock:
            return self._signed

    def read(self) -> None:
        """Read the repository again. A letter never changes, so each is read once.

        Raises:
            AdvisoriesError: It does not answer, or is not what its keys have signed.
        """
        try:
            with tempfile.TemporaryDirectory(prefix="repoint-advisories.") as folder:
                self._read(Path(folder))
        except (RepositoryError, DownloadError, InvalidRecordError, OSError, ValueError) as error:
            raise AdvisoriesError(
                f"The repository {self._name} cannot be read: {error}",
                hint="Check --repository; exposure is computed from what was read before",
            ) from error

    def _read(self, folder: Path) -> None:
        fetcher = _FolderFetcher() if self._is_folder else None
        updater = Updater(
            metadata_dir=str(folder),
            metadata_base_url=f"{self._url}/metadata/",
            target_dir=str(folder),
            target_base_url=f"{self._url}/targets/",
            fetcher=fetcher,
            bootstrap=_first_root(self._url, fetcher),
        )
        updater.refresh()
        targets = Metadata[Targets].from_file(str(folder / "targets.json")).signed
        delegated = targets.delegations
        products = sorted(delegated.roles or ()) if delegated is not None else []
        letters, rings = set[LetterName](), set[str]()
        for product in products:
            catalog = self._read_product(updater, product)
            if catalog is not None:
                letters |= _letters_of(catalog)
                rings |= _rings_of(catalog)
        with self._lock:
            self._products = frozenset(products)
            before = self._signed or SignedNames(frozenset(), frozenset(), frozenset())
            self._signed = SignedNames(
                self._products, before.letters | letters, before.rings | rings
            )

    def _read_product(self, updater: Updater, product: str) -> Catalog | None:
        path = catalog_path(product)
        data = _target(updater, path)
        if data is None:
            return None
        catalog = decode_record(data, Catalog, path)
        for offer in catalog.offers:
            key = BaselineKey.of(product, offer.baseline)
            if offer.letter in self._letters.get(key, {}):
                continue
            path = improvement_path(product, offer.baseline, offer.letter)
            record = _target(updater, path)
            if record is not None:
                improvement = decode_record(record, Improvement, path)
                claims = _Claims(improvement.cves(), improvement.renamed)
                with self._lock:
                    self._letters.setdefault(key, {})[offer.letter] = claims
        return catalog


def _fixes_of(letters: Mapping[str, _Claims]) -> dict[str, frozenset[str]]:
    """Return what each letter of a baseline fixes, by the current ids."""
    current = current_ids(letters[letter].renamed for letter in sorted(letters, key=Letter))
    return {
        letter: frozenset(current.get(cve, cve) for cve in claims.cves)
        for letter, claims in letters.items()
    }


def _letters_of(catalog: Catalog) -> set[LetterName]:
    named = [(each.name, "") for each in catalog.baselines]
    named += [(each.baseline, each.letter) for each in catalog.offers]
    named += [(each.baseline, "") for each in catalog.offers]
    return {
        LetterName(catalog.product, name.platform, name.version, name.build, letter)
        for name, letter in named
    }


def _rings_of(catalog: Catalog) -> set[str]:
    return {
        ring
        for offer in catalog.offers
        if offer.rollout is not None
        for step in offer.rollout.steps
        for ring in step.rings
    }


def _target(updater: Updater, path: str) -> bytes | None:
    info = updater.get_targetinfo(path)
    if info is None:
        return None
    file = Path(updater.download_target(info))
    try:
        return file.read_bytes()
    finally:
        file.unlink()


def _first_root(url: str, fetcher: FetcherInterface | None) -> bytes:
    if fetcher is None:
        from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher

        fetcher = Urllib3Fetcher()
    return fetcher.download_bytes(f"{url}/metadata/1.root.json", 1 << 20)


class _FolderFetcher(FetcherInterface):
    def _fetch(self, url: str) -> Iterator[bytes]:
        from urllib.parse import unquote, urlsplit

        path = Path(unquote(urlsplit(url).path))
        if not path.is_file():
            raise DownloadHTTPError(f"There is no {path}", 404)
        return self._blocks(path)

    def _blocks(self, path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
