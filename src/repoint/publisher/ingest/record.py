"""The list of a wheel's files and their digests: ``*.dist-info/RECORD``.

Source: https://packaging.python.org/en/latest/specifications/recording-installed-packages/
"""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from repoint.publisher.ingest.errors import UnfitSourceError

_ALGORITHMS = ("sha256", "sha384", "sha512")
"""The specification requires SHA-256 or better; hashlib always has these."""

_UNLISTED = ("RECORD", "RECORD.jws", "RECORD.p7s")
"""Files that RECORD cannot list with a digest, including itself."""

_REBUILD = "Download or build the wheel again"


class ListedFile(NamedTuple):
    """The digest and size of one file in RECORD; the size is -1 if it is not listed."""

    algorithm: str
    digest: bytes
    size: int


class Record:
    """The files of RECORD that have not been checked yet."""

    def __init__(self, content: bytes, folder: str) -> None:
        self._exempt = {f"{folder}/{name}" for name in _UNLISTED}
        self._unchecked = dict(self._parse(content))

    def checked(self, path: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield a file's content, and refuse it at its end if it differs from RECORD.

        Raises:
            UnfitSourceError: RECORD does not list the file, or lists different content.
        """
        if path in self._exempt:
            yield from chunks
            return
        listed = self._unchecked.pop(path, None)
        if listed is None:
            raise UnfitSourceError(f"{path!r} is not in the wheel's RECORD", hint=_REBUILD)
        digest, size = hashlib.new(listed.algorithm), 0
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            yield chunk
        if digest.digest() != listed.digest or listed.size not in (-1, size):
            raise UnfitSourceError(
                f"{path!r} differs from the wheel's RECORD: it was changed or is corrupt",
                hint=_REBUILD,
            )

    def finish(self) -> None:
        """Refuse the wheel if a listed file is missing."""
        if self._unchecked:
            raise UnfitSourceError(
                f"{min(self._unchecked)!r} is in the wheel's RECORD but not in the wheel",
                hint=_REBUILD,
            )

    def _parse(self, content: bytes) -> Iterator[tuple[str, ListedFile]]:
        try:
            rows = list(csv.reader(content.decode().splitlines(), strict=True))
        except (UnicodeDecodeError, csv.Error):
            raise UnfitSourceError("The wheel's RECORD cannot be read", hint=_REBUILD) from None
        paths = set()
        for row in filter(None, rows):
            path = row[0]
            if path in paths:
                raise UnfitSourceError(f"The wheel's RECORD lists {path!r} twice", hint=_REBUILD)
            paths.add(path)
            if path not in self._exempt:
                yield path, _listed(row)


def _listed(row: list[str]) -> ListedFile:
    path, *rest = row
    algorithm, _, text = (rest[0] if rest else "").partition("=")
    size = rest[1] if len(rest) > 1 else ""
    if algorithm not in _ALGORITHMS:
        raise UnfitSourceError(
            f"The wheel's RECORD has no SHA-256 digest of {path!r}", hint=_REBUILD
        )
    try:
        digest = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return ListedFile(algorithm, digest, int(size) if size else -1)
    except (binascii.Error, ValueError):
        raise UnfitSourceError(
            f"The line for {path!r} in the wheel's RECORD cannot be read", hint=_REBUILD
        ) from None
