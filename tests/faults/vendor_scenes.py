"""Operations of a vendor: the repository serves the state before or the state after."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from repoint.device.fetch.client import RepositoryClient
from repoint.fs.removal import remove_tree
from repoint.model.catalog import Catalog
from repoint.model.encoding import decode_record
from repoint.model.errors import RepointError
from repoint.model.improvement import Improvement
from repoint.publisher.catalog.catalogs import read_catalog
from repoint.publisher.errors import (
    AlreadyWithdrawnError,
    BaselineExistsError,
    UnknownImprovementError,
)
from repoint.publisher.feeds.announce import announced
from repoint.repository import names
from tests.faults.device_scenes import AGAIN, BASE, FIXED, NEXT, UPDATED, Maker
from tests.faults.scenes import Image, picture
from tests.world import no_passphrase

_SIGNED_ANEW = ("expires", "meta")
"""Depend on the moment of signing, and so do the digests of what depends on it."""

_SIGNED = ("public/metadata/", "public/security/versions.json")


class VendorScene:
    """A served repository and one operation on it.

    Args:
        name: The operation.
        base: A folder for the repository and the devices that read it.
        served: The address at which ``base`` is served.
        done: Errors with which a second run reports that nothing is left to do.
        before: Brings the vendor to the state before the operation.
        operation: The operation.
    """

    expected: tuple[type[RepointError], ...] = ()
    settles = True
    expected_errors: tuple[type[Exception], ...] = (RepointError, OSError)

    def __init__(
        self,
        name: str,
        base: Path,
        served: str,
        done: tuple[type[RepointError], ...],
        before: Callable[[Maker], object],
        operation: Callable[[Maker], object],
    ) -> None:
        self.name = name
        self.done = done
        self.folder = base / "vendor/repository"
        self.url = f"{served}/vendor/repository/public"
        self._known, self._look = base / "known", base / "look"
        self._before = before
        self._operation = operation
        self._allowed: list[object] = []
        self._base = base

    def prepare(self) -> None:
        self.vendor = Maker(self._base / "vendor")
        self._before(self.vendor)
        self._client(self._known).refresh()
        self._allowed = [self.position()]

    def act(self) -> object:
        return self._operation(self.vendor)

    def settle(self) -> None:
        """Refresh the signatures, as vendors do every day."""
        with announced(self.vendor.repository, no_passphrase) as publication:
            publication.refresh()

    def position(self) -> object:
        """Return what devices are offered."""
        return _offered(read_catalog(self.vendor.repository, self.vendor.product))

    def note_end(self) -> None:
        """Record the served state as the other permitted state."""
        self._allowed.append(self.position())

    def wrong(self) -> Iterator[str]:
        try:
            read_catalog(self.vendor.repository, self.vendor.product)
        except RepointError as error:
            yield f"the vendor's own view does not work: {error}"
        remove_tree(self._look)
        for who in ("a new device", "a device that knows what was before"):
            try:
                seen = self._take_all()
            except RepointError as error:
                yield f"{who} cannot take what is offered: {error}"
            else:
                if len(self._allowed) == 2 and seen not in self._allowed:
                    yield f"{who} is offered {seen}, neither the old offer nor the new one"
            remove_tree(self._look)
            shutil.copytree(self._known, self._look, symlinks=True)

    def _take_all(self) -> object:
        """Fetch all that is offered, as a device does, and return the offers."""
        client = self._client(self._look)
        path = names.catalog_path(self.vendor.product)
        catalog = decode_record(client.read(path), Catalog, path)
        for offer in catalog.offers:
            name = offer.baseline
            where = (self.vendor.product, name, offer.letter)
            path = names.improvement_path(*where)
            improvement = decode_record(client.read(path), Improvement, path)
            for component in improvement.components:
                if component.patch_size:
                    client.read(names.patch_path(*where, component.name))
        return _offered(catalog)

    def _client(self, folder: Path) -> RepositoryClient:
        return RepositoryClient(self.url, folder, folder / "downloads", self.vendor.root)

    def image(self) -> Image:
        found = picture(self.folder, without=("lock",))
        for path in found:
            if path.startswith(_SIGNED) and path.endswith(".json"):
                signed = json.loads((self.folder / path).read_bytes())["signed"]
                found[path] = str({k: v for k, v in signed.items() if k not in _SIGNED_ANEW})
        return found


def _offered(catalog: Catalog) -> object:
    return (
        [(str(o.baseline), o.letter, o.state) for o in catalog.offers],
        [str(listed.name) for listed in catalog.baselines],
    )


def _released(vendor: Maker) -> None:
    vendor.baseline(BASE)
    vendor.release(FIXED)


def _drafted(vendor: Maker) -> None:
    _released(vendor)
    vendor.improve(AGAIN)


def vendor_scenes(base: Path, served: str) -> dict[str, Callable[[], VendorScene]]:
    """Return all operations of a vendor by name; each is built on demand."""

    def scene(
        name: str,
        done: tuple[type[RepointError], ...],
        before: Callable[[Maker], object],
        operation: Callable[[Maker], object],
    ) -> tuple[str, Callable[[], VendorScene]]:
        place, url = base / name, f"{served}/{name}"
        return name, lambda: VendorScene(name, place, url, done, before, operation)

    return dict(
        [
            scene("publish", (UnknownImprovementError,), _drafted, lambda v: v.publish()),
            scene("withdraw", (AlreadyWithdrawnError,), _released, lambda v: v.withdraw("a")),
            scene(
                "register", (BaselineExistsError,), _released,
                lambda v: v.baseline(UPDATED, name=NEXT),
            ),
        ]
    )  # fmt: skip
