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
"""The specification wants SHA-256 or better; Python's hashlib has these everywhere."""

_UNLISTED = ("RECORD", "RECORD.jws", "RECORD.p7s")
"""Files beside RECORD that cannot be listed with a digest, RECORD itself first."""

_REBUILD = "Fetch the wheel again, or build it again"


class Promise(NamedTuple):
    """What RECORD says of one file; the size is -1 where it says none."""

    algorithm: str
    digest: bytes
    size: int


class Record:
    """What RECORD promises, and what has been kept of it so far."""

    def __init__(self, content: bytes, folder: str) -> None:
        self._exempt = {f"{folder}/{name}" for name in _UNLISTED}
        self._open = dict(self._parse(content))

    def checked(self, path: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass a file's content on, and refuse it at its end if it is not the promised one.

        Raises:
            UnfitSourceError: RECORD does not list the file, or lists another content.
        """
        if path in self._exempt:
            yield from chunks
            return
        promise = self._open.pop(path, None)
        if promise is None:
            raise UnfitSourceError(f"{path!r} is not in the wheel's RECORD", hint=_REBUILD)
        digest, size = hashlib.new(promise.algorithm), 0
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            yield chunk
        if digest.digest() != promise.digest or promise.size not in (-1, size):
            raise UnfitSourceError(
                f"{path!r} is not what the wheel's RECORD says: it was changed or is broken",
                hint=_REBUILD,
            )

    def finish(self) -> None:
        """Refuse the wheel if a file is listed that did not come."""
        if self._open:
            raise UnfitSourceError(
                f"{min(self._open)!r} is in the wheel's RECORD but not in the wheel", hint=_REBUILD
            )

    def _parse(self, content: bytes) -> Iterator[tuple[str, Promise]]:
        try:
            rows = list(csv.reader(content.decode().splitlines(), strict=True))
        except (UnicodeDecodeError, csv.Error):
            raise UnfitSourceError("The wheel's RECORD cannot be read", hint=_REBUILD) from None
        seen = set()
        for row in filter(None, rows):
            path = row[0]
            if path in seen:
                raise UnfitSourceError(f"The wheel's RECORD lists {path!r} twice", hint=_REBUILD)
            seen.add(path)
            if path not in self._exempt:
                yield path, _promise(row)


def _promise(row: list[str]) -> Promise:
    path, *rest = row
    algorithm, _, text = (rest[0] if rest else "").partition("=")
    size = rest[1] if len(rest) > 1 else ""
    if algorithm not in _ALGORITHMS:
        raise UnfitSourceError(
            f"The wheel's RECORD has no SHA-256 digest of {path!r}", hint=_REBUILD
        )
    try:
        digest = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return Promise(algorithm, digest, int(size) if size else -1)
    except (binascii.Error, ValueError):
        raise UnfitSourceError(
            f"The line for {path!r} in the wheel's RECORD cannot be read", hint=_REBUILD
        ) from None
