"""An improvement of the system as one image, which the kernel verifies against a signed root hash.

The device builds the image from the trees that the patches produced. Its root hash shows that it is
the vendor's image. From then on the kernel compares every block that is read with that hash, so
neither a worn disk nor anybody who can write to the store changes what programs see.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from repoint.device.errors import NotTrustedError
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation
from repoint.fs.durable import create_file, make_folder, sync, write_new
from repoint.fs.removal import remove_tree
from repoint.host.host import Host
from repoint.image.erofs import Image
from repoint.image.layer_image import folders_of, layer_image, layer_overlay
from repoint.image.verity import HashTree
from repoint.model.baseline import Baseline
from repoint.model.errors import InvalidRecordError
from repoint.model.improvement import Improvement
from repoint.model.system import Extension, System, release_files

_IMAGE = "layer.raw"
_HASH_TREE = "layer.verity"
_CHUNK = 1 << 20
_ROOT_HASH_ATTRIBUTES = ("user.verity.roothash", "user.verity.usrhash")
"""Attributes of an image that systemd would believe rather than the root hash of the offer."""


class LayerImage:
    """The image of a generation, whether it is built or not.

    Attributes:
        extension: What the signed improvement says about it.
        folder: Where it is, or will be.
        image: Its layout.
    """

    def __init__(self, extension: Extension, folder: Path, image: Image) -> None:
        self.extension = extension
        self.folder = folder
        self.image = image

    @property
    def raw(self) -> Path:
        """The image itself."""
        return self.folder / _IMAGE

    @property
    def hash_tree(self) -> Path:
        """Its hash tree."""
        return self.folder / _HASH_TREE

    def build(self) -> None:
        """Build the image if it is not there; the commit point is the rename of its folder.

        Raises:
            NotTrustedError: It does not have the signed root hash.
            OSError: It cannot be written.
        """
        if self.folder.is_dir():
            return
        temporary = self.folder.with_name(f".new-{self.folder.name}")
        remove_tree(temporary)
        make_folder(temporary)
        try:
            with create_file(temporary / _IMAGE, mode=0o444) as file:
                hash_tree = self._write(file.write)
            write_new(temporary / _HASH_TREE, hash_tree.file(self.image.identity), mode=0o444)
        except BaseException:
            remove_tree(temporary)
            raise
        sync(temporary)
        temporary.rename(self.folder)
        sync(self.folder.parent)

    def has_own_root_hash(self) -> bool:
        """Return whether the image carries a root hash of its own, which systemd would believe."""
        try:
            return any(name in os.listxattr(self.raw) for name in _ROOT_HASH_ATTRIBUTES)
        except OSError:
            return False

    def is_intact(self) -> bool:
        """Return whether the files on the disk are what was signed. Reads all of them."""
        if self.has_own_root_hash():
            return False
        expected = HashTree()
        try:
            with self.raw.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    expected.update(chunk)
            stored = self.hash_tree.read_bytes()
        except (OSError, ValueError):  # It cannot be read, or does not consist of whole blocks.
            return False
        is_signed = expected.root_hash == self.extension.root_hash
        return is_signed and stored == expected.file(self.image.identity)

    def repair(self) -> None:
        """Correct the files on the disk in place.

        Programs that have the image open, and the kernel's devices for it, then have the right
        content again. After an interruption the image is still damaged: the kernel shows no block
        of it that is not the signed one.

        Raises:
            NotTrustedError: The trees do not give the signed image; nothing was written.
            OSError: It cannot be written.
        """
        hash_tree = self._write(lambda chunk: len(chunk))
        for name in _ROOT_HASH_ATTRIBUTES:
            with contextlib.suppress(OSError):
                os.removexattr(self.raw, name)
        with _open_to_repair(self.raw) as file:
            self._write(lambda chunk: _overwrite(file, chunk))
            file.truncate()
        with _open_to_repair(self.hash_tree) as file:
            _overwrite(file, hash_tree.file(self.image.identity))
            file.truncate()
        for path in (self.raw, self.hash_tree):
            path.chmod(0o444)
            sync(path)
        sync(self.folder)

    def _write(self, write: Callable[[bytes], int]) -> HashTree:
        """Write the image chunk by chunk, and return its hash tree.

        Raises:
            NotTrustedError: It does not have the signed root hash.
            OSError: A file cannot be read or written.
        """
        hash_tree = HashTree()
        try:
            for chunk in self.image.chunks():
                hash_tree.update(chunk)
                write(chunk)
        except InvalidRecordError as error:
            raise _not_signed(f"cannot be built: {error.message}") from None
        expected = (self.extension.size, self.extension.root_hash)
        if (self.image.size, hash_tree.root_hash) != expected:
            raise _not_signed("has another root hash")
        return hash_tree


def image_of(state: ProductState, generation: Generation) -> LayerImage | None:
    """Return the image of a generation; None if none is signed, or if it would not fit.

    Raises:
        NotTrustedError: The signed improvement describes an impossible image.
    """
    improvement = state.generations.improvement(generation)
    baseline = state.generations.baseline(generation)
    if improvement is None or improvement.extension is None or baseline.system is None:
        return None
    # The vendor's image holds all components at their paths below /.
    if any(point.path != "/" for point in state.documents.enrolment().grafts):
        return None
    image = _layout(state, baseline, improvement, improvement.extension, baseline.system)
    return LayerImage(improvement.extension, _folder(state, generation), image)


def inode_numbers(state: ProductState, generation: Generation) -> dict[str, int]:
    """Return the inode number of each path in the image of a generation; empty without an image."""
    if not _folder(state, generation).is_dir():
        return {}
    layer = image_of(state, generation)
    return layer.image.numbers if layer is not None else {}


def why_folders_differ(layer: LayerImage, host: Host) -> str:
    """Return why the image would change folders of the base; empty if it would not.

    Raises:
        CannotMergeError: The base cannot be read.
    """
    mismatched = host.base.mismatched_folders(folders_of(layer.image))
    if not mismatched:
        return ""
    return f"/{mismatched[0]} has another owner or other permissions than in the image"


def _open_to_repair(path: Path) -> BinaryIO:
    """Open a file to correct it; create it if it is missing."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o444)
    return os.fdopen(descriptor, "r+b")


def _overwrite(file: BinaryIO, data: bytes) -> int:
    """Make a file hold the data at its position; write only if it differs."""
    position = file.tell()
    if file.read(len(data)) != data:
        file.seek(position)
        file.write(data)
    return len(data)


def _layout(
    state: ProductState,
    baseline: Baseline,
    improvement: Improvement,
    extension: Extension,
    system: System,
) -> Image:
    before = {component.name: component.entries for component in baseline.components}
    try:
        return layer_image(
            [
                layer_overlay(
                    before[part.name], part.layer, _content_in(state.store.tree(part.seal))
                )
                for part in improvement.components
            ],
            release_files(state.name, system),
            created=improvement.created,
            first=extension.first,
        )
    except InvalidRecordError as error:
        raise _not_signed(f"cannot be built: {error.message}") from None


def _content_in(tree: Path) -> Callable[[str], Path]:
    return lambda path: tree / path


def _folder(state: ProductState, generation: Generation) -> Path:
    return state.path / "images" / generation.folder


def _not_signed(why: str) -> NotTrustedError:
    return NotTrustedError(
        f"The image of the improvement is not the signed one: it {why}",
        hint="Nothing was installed; try again, and tell the vendor if it happens again",
    )
