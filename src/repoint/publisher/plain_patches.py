"""Patches between any two files or folders, to try the delta engine and for other tools."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from repoint.delta.container import read_header
from repoint.delta.errors import PatchError
from repoint.delta.sandbox.child import DecodeJob, decode_in_child
from repoint.delta.writer import PatchInput, write_patch
from repoint.fs.removal import make_writable, remove_tree
from repoint.model.encoding import decode_record, encode_record
from repoint.model.errors import RepointError
from repoint.model.tree import Layer
from repoint.publisher.errors import NothingChangedError, OutputWriteError
from repoint.publisher.improve.layers import layer_between
from repoint.tree.build import TreeFiles, build_tree, files_in
from repoint.tree.compare import apply_layer, changes_needing_content
from repoint.tree.digest import seal_of
from repoint.tree.errors import SealMismatchError
from repoint.tree.scan import scan_tree

_FILE = "file"


class _TreePatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The annex of a patch between two folders: which tree becomes which."""

    old_seal: str
    new_seal: str
    layer: Layer


@dataclass(frozen=True)
class PatchSizes:
    """The size of a patch and of its result, in bytes."""

    patch_size: int
    new_size: int


def diff_paths(
    old: Path,
    new: Path,
    patch: Path,
    *,
    replace: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> PatchSizes:
    """Make the patch that turns one file or folder into another.

    Args:
        old: The old file or folder.
        new: The new one.
        patch: Where to write the patch.
        replace: Whether to replace a regular file at ``patch``.
        progress: Called with the bytes done and the total number of bytes.

    Raises:
        OutputWriteError: A path is missing, one is a file and the other a folder, or there is
            something at ``patch`` that must not be replaced.
        RepointError: A folder contains something that a tree cannot hold.
    """
    _require(old, new)
    _require_parent(patch)
    if patch.is_symlink() or (patch.exists() and not patch.is_file()):
        raise OutputWriteError(f"{patch} is not a regular file", hint="Name another path")
    if patch.exists() and (not replace or any(patch.samefile(each) for each in (old, new))):
        hint = "Name another path" if replace else "Name another path, or replace it with --force"
        raise OutputWriteError(f"{patch} exists already", hint=hint)
    if old.is_file():
        write_patch(patch, [PatchInput(_FILE, new, _FILE, old)], progress=progress)
        return PatchSizes(patch.stat().st_size, new.stat().st_size)
    old, new = old.resolve(), new.resolve()  # a link may lead to the folder
    before, after = scan_tree(old), scan_tree(new)
    comparison = layer_between(old, before, new, after)
    if not comparison.layer.changes and not comparison.layer.removed:
        raise NothingChangedError(f"{old} and {new} are the same tree", hint="There is no patch")
    annex = encode_record(_TreePatch(seal_of(before), comparison.seal, comparison.layer))
    inputs = [
        PatchInput(c.entry.path, new / c.entry.path, c.source, old / c.source if c.source else None)
        for c in comparison.needing_content
    ]
    write_patch(patch, inputs, annex=annex, progress=progress)
    return PatchSizes(patch.stat().st_size, comparison.full_size)


def apply_path(old: Path, patch: Path, new: Path) -> None:
    """Apply a patch to a file or folder; the commit point is the rename to ``new``.

    Raises:
        OutputWriteError: ``new`` exists, or ``old`` does not.
        PatchError: The patch is damaged, or was not made for ``old``.
    """
    if not (old.is_file() or old.is_dir()):
        raise OutputWriteError(
            f"There is no file or folder {old}", hint="Name the file or folder to patch"
        )
    if not patch.is_file():
        raise OutputWriteError(f"There is no patch {patch}", hint="Name the file with the patch")
    _require_parent(new)
    if new.exists() or new.is_symlink():
        raise OutputWriteError(f"{new} already exists", hint="Name a path that does not exist yet")
    header = read_header(patch)
    with tempfile.TemporaryDirectory(prefix=".repoint-", dir=new.absolute().parent) as folder:
        decoded = Path(folder, "decoded")
        decoded.mkdir()
        if not header.annex:
            if not old.is_file() or [entry.name for entry in header.entries] != [_FILE]:
                raise PatchError(f"{patch} is not a patch for one file", hint="Name the folder")
            entry = header.entries[0]
            source = old if entry.source else None
            try:
                decode_in_child(
                    patch, [DecodeJob(_FILE, source, entry.size, entry.sha256)], decoded
                )
            except PatchError as error:
                raise PatchError(
                    f"{patch} does not fit {old}: {error.message}",
                    hint=error.hint or "Name the file that it was made for",
                ) from None
            (decoded / "0").chmod(0o644)
            (decoded / "0").rename(new)
            return
        _apply_tree(old.resolve(), patch, header.annex, decoded, Path(folder, "tree"))
        Path(folder, "tree").rename(new)


def _apply_tree(old: Path, patch: Path, annex: bytes, decoded: Path, tree: Path) -> None:
    try:
        header = decode_record(annex, _TreePatch, str(patch))
    except RepointError:
        raise PatchError(f"{patch} is damaged", hint="Make it or download it again") from None
    before = scan_tree(old)
    if seal_of(before) != header.old_seal:
        raise SealMismatchError(
            f"{old} is not the tree that {patch} was made for",
            hint=f"`repoint seal {old}` should print {header.old_seal}",
        )
    after = apply_layer(before, header.layer)
    jobs = [
        DecodeJob.for_change(change, old)
        for change in changes_needing_content(before, header.layer)
    ]
    if jobs:
        decode_in_child(patch, jobs, decoded)
    reused = files_in(before)
    reused |= {c.entry.path: c.source for c in header.layer.changes if c.source}
    new_files = {job.name: decoded / str(number) for number, job in enumerate(jobs)}
    try:
        build_tree(tree, after, TreeFiles(new_files, old, reused, share=False))
        if seal_of(scan_tree(tree, ignore=())) != header.new_seal:
            raise PatchError(
                f"{patch} does not give the tree that it was made for", hint="Make it again"
            )
        make_writable(tree)
    except BaseException:
        remove_tree(tree)
        raise


def _require(old: Path, new: Path) -> None:
    for path in (old, new):
        if not (path.is_file() or path.is_dir()):
            raise OutputWriteError(
                f"There is no {path}" if not path.exists() else f"{path} is no file and no folder",
                hint="Name two files or two folders",
            )
    if old.is_file() != new.is_file():
        raise OutputWriteError(
            f"One of {old} and {new} is a file, the other a folder",
            hint="Name two files or two folders",
        )


def _require_parent(path: Path) -> None:
    parent = path.absolute().parent
    if not parent.is_dir():
        raise OutputWriteError(
            f"There is no folder {parent}", hint="Name a path in a folder that exists"
        )
