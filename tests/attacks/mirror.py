"""A mirror in an attacker's hands: a copy of the repository, signed anew with the keys they hold."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, TargetFile

from repoint.delta.writer import PatchInput, write_patch
from repoint.model.catalog import Catalog, Offer
from repoint.model.encoding import decode_record, encode_record
from repoint.model.improvement import Improvement
from repoint.model.tree import Change, Layer
from repoint.repository import names
from repoint.tree.compare import apply_layer
from repoint.tree.digest import seal_of
from tests.world import NAME, Vendor

EVIL = b"VERSION = 'evil'\n"
ONLINE = ("timestamp", "snapshot", "acme-kiosk.catalog")
WHERE = (NAME.platform, NAME.version, NAME.build)


class Mirror:
    """What an attacker serves.

    Args:
        vendor: Whose repository it is.
        folder: Where the copy goes.
        stolen: The roles whose keys the attacker holds. What another role should sign is signed
            with a key that nobody trusts.
    """

    def __init__(self, vendor: Vendor, folder: Path, stolen: Iterable[str] = ()) -> None:
        self.vendor = vendor
        self.folder = folder
        self.stolen = set(stolen)
        shutil.copytree(vendor.public, folder)

    def latest(self, role: str) -> Metadata[Any]:
        """The newest metadata of a role."""
        if role == "timestamp":
            return Metadata.from_file(str(self.folder / "metadata/timestamp.json"))
        found = {
            int(path.name.split(".")[0]): path
            for path in self.folder.glob(f"metadata/*.{role}.json")
        }
        return Metadata.from_file(str(found[max(found)]))

    def sign(self, role: str, change: Callable[[Any], None], *, version: int = 0) -> None:
        """Sign a role's metadata anew after a change; by default it gets the next version."""
        metadata = self.latest(role)
        metadata.signed.version = version or metadata.signed.version + 1
        change(metadata.signed)
        metadata.signatures.clear()
        metadata.sign(self._signer(role))
        number = "" if role == "timestamp" else f"{metadata.signed.version}."
        (self.folder / f"metadata/{number}{role}.json").write_bytes(metadata.to_bytes())

    def put(self, role: str, files: Mapping[str, bytes], **hashes: str) -> None:
        """Serve targets and sign them as a role. ``hashes`` takes the place of their digests."""

        def change(targets: Any) -> None:
            for path, content in files.items():
                digest = hashlib.sha256(content).hexdigest()
                targets.targets[path] = TargetFile(len(content), hashes or {"sha256": digest}, path)
                folder, _, name = path.rpartition("/")
                place = self.folder / "targets" / folder / f"{digest}.{name}"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)

        self.sign(role, change)

    def lead_to(self, *roles: str, versions: Mapping[str, int] | None = None) -> None:
        """Sign a snapshot and a timestamp that lead to the newest metadata of some roles."""

        def snapshot(signed: Any) -> None:
            for role in roles:
                at = (versions or {}).get(role) or self.latest(role).signed.version
                signed.meta[f"{role}.json"] = MetaFile(at)

        self.sign("snapshot", snapshot)

        def timestamp(signed: Any) -> None:
            signed.snapshot_meta = MetaFile(self.latest("snapshot").signed.version)

        self.sign("timestamp", timestamp)

    def forge(self, letter: str = "b") -> None:
        """Offer an improvement of the attacker's own making, signed as well as they can."""
        product = self.vendor.product
        content, patch = self._evil(letter)
        where = (product, NAME, letter)
        self.put(
            product,
            {
                names.improvement_path(*where): content,
                names.patch_path(*where, "engine"): patch,
            },
        )
        catalog = self.catalog()
        offers = (*catalog.offers, Offer(NAME, letter, "offered", since=2))
        self.offer(msgspec.structs.replace(catalog, offers=offers))
        self.lead_to(product, names.catalog_role(product))

    def catalog(self) -> Catalog:
        """The catalog that is served."""
        path = names.catalog_path(self.vendor.product)
        target = self.latest(names.catalog_role(self.vendor.product)).signed.targets[path]
        place = self.folder / "targets" / target.get_prefixed_paths()[0]
        return decode_record(place.read_bytes(), Catalog, path)

    def offer(self, catalog: Catalog) -> None:
        """Put a catalog in the place of the one that is served."""
        product = self.vendor.product
        self.put(names.catalog_role(product), {names.catalog_path(product): encode_record(catalog)})

    def _evil(self, letter: str) -> tuple[bytes, bytes]:
        """The last honest improvement with another main.py, and a patch that gives it."""
        product = self.vendor.product
        honest_path = names.improvement_path(product, NAME, "a")
        targets = self.latest(product).signed.targets
        honest = decode_record(
            (self.folder / "targets" / targets[honest_path].get_prefixed_paths()[0]).read_bytes(),
            Improvement,
            honest_path,
        )
        (part,) = honest.components
        main = next(c for c in part.layer.changes if c.entry.path == "main.py")
        entry = msgspec.structs.replace(
            main.entry, size=len(EVIL), sha256=hashlib.sha256(EVIL).hexdigest()
        )
        layer = Layer((Change(entry, "main.py"),), ())
        old = self.vendor.repository.path / "baselines" / product / Path(*WHERE) / "engine"
        (self.folder / "evil").write_bytes(EVIL)
        write_patch(
            self.folder / "patch",
            [PatchInput("main.py", self.folder / "evil", "main.py", old / "main.py")],
        )
        patch = (self.folder / "patch").read_bytes()
        baseline_path = names.baseline_path(product, NAME)
        place = self.folder / "targets" / targets[baseline_path].get_prefixed_paths()[0]
        baseline = msgspec.json.decode(place.read_bytes())
        entries = msgspec.convert(
            baseline["components"][0]["entries"],
            tuple[type(entry), ...],  # type: ignore[misc]
        )
        forged = msgspec.structs.replace(
            part,
            layer=layer,
            seal=seal_of(apply_layer(entries, layer)),
            patch_size=len(patch),
        )
        advisory = msgspec.structs.replace(honest.advisories[-1], letter=letter)
        improvement = msgspec.structs.replace(
            honest, letter=letter, components=(forged,), advisories=(*honest.advisories, advisory)
        )
        return encode_record(improvement), patch

    def _signer(self, role: str) -> CryptoSigner:
        if role not in self.stolen:
            return CryptoSigner.generate_ed25519()
        return key_of(self.vendor, role)


def key_of(vendor: Vendor, name: str) -> CryptoSigner:
    """A key, read from the vendor's folder as a thief would."""
    pem = (vendor.repository.path / f"keys/{name}.pem").read_bytes()
    private = load_pem_private_key(pem, None)
    assert isinstance(private, Ed25519PrivateKey)
    return CryptoSigner(private)
