"""An improvement of the system as one image, whose root hash is signed and checked by the kernel.

The image is made here, from the trees that the patches gave, and is the one that the vendor has
made: its root hash says so. From then on the kernel holds every block that is read against that
hash, so that neither a worn disk nor who writes to the store changes what programs see.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from repoint.device.errors import NotTrustedError
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Enrolment, Generation
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
_TREE = "layer.verity"
_CHUNK = 1 << 20
_SHADOWS = ("user.verity.roothash", "user.verity.usrhash")
"""Attributes of an image that systemd would believe rather than what is offered with it."""


class LayerImage:
    """The image of a generation, made or not.

    Attributes:
        extension: What the signed improvement says of it.
        folder: Where it stands, or would.
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
    def tree(self) -> Path:
        """Its hash tree."""
        return self.folder / _TREE

    def build(self) -> None:
        """Write it, if it is not there; the commit point is the rename to its place.

        Raises:
            NotTrustedError: It does not have the signed root hash.
            OSError: It cannot be written.
        """
        if self.folder.is_dir():
            return
        beside = self.folder.with_name(f".new-{self.folder.name}")
        remove_tree(beside)
        make_folder(beside)
        try:
            with create_file(beside / _IMAGE, mode=0o444) as file:
                made = self._make(file.write)
            write_new(beside / _TREE, made.file(self.image.identity), mode=0o444)
        except BaseException:
            remove_tree(beside)
            raise
        sync(beside)
        beside.rename(self.folder)
        sync(self.folder.parent)

    def has_shadows(self) -> bool:
        """Whether the image carries a root hash of its own, which systemd would believe."""
        try:
            return any(name in os.listxattr(self.raw) for name in _SHADOWS)
        except OSError:
            return False

    def is_whole(self) -> bool:
        """Whether what stands on the disk is what was signed. Reads all of it."""
        if self.has_shadows():
            return False
        made = HashTree()
        try:
            with self.raw.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    made.update(chunk)
            beside = self.tree.read_bytes()
        except (OSError, ValueError):  # it cannot be read, or is not of whole blocks
            return False
        found = made.root_hash == self.extension.root_hash
        return found and beside == made.file(self.image.identity)

    def repair(self) -> None:
        """Put right what stands on the disk, in its place.

        Programs that have it open, and the kernel's devices for it, have the right content again.
        What is cut off in between is a damaged image still: no block of it is shown that is not
        the signed one.

        Raises:
            NotTrustedError: The trees do not give the image that was signed; nothing was written.
            OSError: It cannot be written.
        """
        made = self._make(lambda chunk: len(chunk))
        for name in _SHADOWS:
            with contextlib.suppress(OSError):
                os.removexattr(self.raw, name)
        with _opened(self.raw) as file:
            self._make(lambda chunk: _put_right(file, chunk))
            file.truncate()
        with _opened(self.tree) as file:
            _put_right(file, made.file(self.image.identity))
            file.truncate()
        for path in (self.raw, self.tree):
            path.chmod(0o444)
            sync(path)
        sync(self.folder)

    def _make(self, write: Callable[[bytes], int]) -> HashTree:
        """Make the image, chunk by chunk, and tell its tree.

        Raises:
            NotTrustedError: It does not have the signed root hash.
            OSError: A file cannot be read or written.
        """
        made = HashTree()
        try:
            for chunk in self.image.chunks():
                made.update(chunk)
                write(chunk)
        except InvalidRecordError as error:
            raise _not_signed(f"cannot be made: {error.message}") from None
        if self.image.size != self.extension.size or made.root_hash != self.extension.root_hash:
            raise _not_signed("has another root hash")
        return made


def image_of(state: ProductState, generation: Generation) -> LayerImage | None:
    """The image of a generation; nothing where none is signed or where it would not fit.

    Raises:
        NotTrustedError: The signed improvement says what cannot be.
    """
    improvement = state.generations.improvement(generation)
    baseline = state.generations.baseline(generation)
    if improvement is None or improvement.extension is None or baseline.system is None:
        return None
    if not _all_at_root(state.documents.enrolment()):
        return None
    image = _layout(state, baseline, improvement, improvement.extension, baseline.system)
    return LayerImage(improvement.extension, _place(state, generation), image)


def numbers_of(state: ProductState, generation: Generation) -> dict[str, int]:
    """The inode number of each path in the image of a generation; none where it has no image."""
    if not _place(state, generation).is_dir():
        return {}
    made = image_of(state, generation)
    return made.image.numbers if made is not None else {}


def why_folders_differ(made: LayerImage, host: Host) -> str:
    """Why an image would change folders of the base that it should only pass on, if it would.

    Raises:
        CannotMergeError: The base cannot be looked at.
    """
    unlike = host.base.mismatched_folders(folders_of(made.image))
    return f"/{unlike[0]} has an owner or permissions that the image has not" if unlike else ""


def _opened(path: Path) -> BinaryIO:
    """A file that is to be put right, made if it is missing."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o444)
    return os.fdopen(descriptor, "r+b")


def _put_right(file: BinaryIO, data: bytes) -> int:
    """Let a file hold the data where it stands; only what differs is written."""
    place = file.tell()
    if file.read(len(data)) != data:
        file.seek(place)
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
        raise _not_signed(f"cannot be made: {error.message}") from None


def _content_in(tree: Path) -> Callable[[str], Path]:
    return lambda path: tree / path


def _all_at_root(enrolment: Enrolment) -> bool:
    return all(point.strategy == "sysext" and point.path == "/" for point in enrolment.grafts)


def _place(state: ProductState, generation: Generation) -> Path:
    return state.path / "images" / generation.folder


def _not_signed(why: str) -> NotTrustedError:
    return NotTrustedError(
        f"The image of the improvement is not the signed one: it {why}",
        hint="Nothing was installed; try again, and tell the vendor if it stays so",
    )
