"""Writing a patch: encode all files, then put header and payloads together."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from repoint.delta.container import (
    MAX_ANNEX,
    Header,
    PatchEntry,
    refuse_duplicates,
    serialize_header,
)
from repoint.delta.encoding import Encoded, PatchInput, encode_all
from repoint.delta.errors import PatchError
from repoint.fs.durable import sync

__all__ = ["PatchInput", "write_patch"]

_COPY_CHUNK = 1 << 20


def write_patch(
    out: Path,
    inputs: Sequence[PatchInput],
    annex: bytes = b"",
    progress: Callable[[int, int], None] | None = None,
    *,
    workers: int | None = None,
) -> tuple[PatchEntry, ...]:
    """Encode every input with its best codec and write the patch to `out`.

    The same inputs give the same bytes, whatever the number of workers. `out` appears whole or
    not at all, and replaces an old file in one step.

    Args:
        out: Path of the patch.
        inputs: The new files, each with its old file, if any.
        annex: Bytes to add to the header, at most 64 MiB.
        progress: Called with the bytes of the new files that are done, and their total, also while
            nothing is done. What it raises ends the work.
        workers: Number of encoding processes; by default the number of processors.

    Returns:
        The entries of the patch.

    Raises:
        PatchError: The annex is too large, two inputs have the same name, or a name is invalid.
        DeltaChildError: An encoding process failed.
        OSError: A file cannot be read or written.
    """
    if len(annex) > MAX_ANNEX:
        raise PatchError(f"the annex of {out} is larger than {MAX_ANNEX} bytes")
    refuse_duplicates([each.name for each in inputs])
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        encoded = encode_all(
            inputs, Path(folder), workers or os.cpu_count() or 1, progress or _silent
        )
        entries = tuple(_entry(each, result) for each, result in zip(inputs, encoded, strict=True))
        part = Path(folder, "patch")
        with part.open("xb") as file:
            file.write(serialize_header(Header(annex, entries)))
            for result in encoded:
                _append(file, result.payload)
            file.flush()
            os.fsync(file.fileno())
        part.replace(out)
    sync(out.parent.resolve())
    return entries


def _entry(file: PatchInput, encoded: Encoded) -> PatchEntry:
    length = encoded.payload.stat().st_size
    return PatchEntry(file.name, file.source, encoded.size, encoded.sha256, encoded.codec, length)


def _append(file: BinaryIO, payload: Path) -> None:
    with payload.open("rb") as source:
        while chunk := source.read(_COPY_CHUNK):
            file.write(chunk)


def _silent(_done: int, _total: int) -> None: ...
