"""Writing a tree, path by path, so that nothing can land outside of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from repoint.model.tree import Kind, check_link, check_path
from repoint.publisher.ingest.errors import UnfitSourceError
from repoint.publisher.ingest.limits import Budget, Limits
from repoint.tree.links import first_escape

CHUNK = 1 << 20
"""Bytes that are read and written at once."""

_FICLONE = 0x40049409
"""ioctl_ficlone(2): let a file share another one's blocks."""

_LATEST_TIME = 1 << 33
"""Seconds since 1970 (the year 2242): a later time in an archive is taken for garbage."""


class TreeBuilder:
    """Writes one source's paths below a folder that nobody else writes to.

    The rules it keeps, whatever the source says:
      - a path is relative, has no ``..`` and comes once; a folder that was only implied by what
        lies in it may still come by itself and bring its mode;
      - what a path lies in is a real folder, never a link or a file;
      - a link stays inside, also when it is followed through other links;
      - a hard link names a file that came before;
      - bytes and paths are counted before they are written.

    The folders' own modes and times are set at the end, by `finish`.
    """

    def __init__(self, root: Path, limits: Limits) -> None:
        self._root = root
        self._budget = Budget(limits)
        self._kinds: dict[str, Kind] = {}
        self._links: dict[str, str] = {}
        self._folders: dict[str, tuple[int, int | None]] = {}
        self._implied: set[str] = set()
        self._files = 0

    def add_folder(self, path: str, *, mode: int, mtime_ns: int | None = None) -> None:
        """Add a folder with its permission bits and its time in nanoseconds since 1970."""
        if path in self._implied:
            self._implied.remove(path)
        else:
            self._claim(path, "folder")
            (self._root / path).mkdir(mode=0o700)
        self._folders[path] = (mode, mtime_ns)

    def add_file(
        self, path: str, chunks: Iterable[bytes], *, mode: int, mtime_ns: int | None = None
    ) -> None:
        """Add a file made of ``chunks``."""
        with self._new_file(path, mode, mtime_ns) as out:
            for chunk in chunks:
                self._write(out, chunk)

    def copy_file(self, path: str, source: int, *, mode: int, mtime_ns: int | None) -> None:
        """Add a file with the content of an open one, sharing its blocks where that works."""
        with self._new_file(path, mode, mtime_ns) as out:
            try:
                fcntl.ioctl(out, _FICLONE, source)
            except OSError:
                while chunk := os.read(source, CHUNK):
                    self._write(out, chunk)
            else:
                self._budget.spend_bytes(os.fstat(out).st_size)

    def add_link(self, path: str, target: str, *, mtime_ns: int | None = None) -> None:
        """Add a symbolic link."""
        check_link(path, target)
        try:
            target.encode()
        except UnicodeEncodeError:
            raise UnfitSourceError(
                f"The link {path!r} has a target that is not valid UTF-8, {target!r}"
            ) from None
        self._claim(path, "link")
        self._links[path] = target
        (self._root / path).symlink_to(target)
        if mtime_ns is not None:
            os.utime(self._root / path, ns=(mtime_ns, mtime_ns), follow_symlinks=False)

    def add_hard_link(self, path: str, original: str) -> None:
        """Add a second name for a file that is there already."""
        check_path(original)
        if self._kinds.get(original) != "file":
            raise UnfitSourceError(
                f"The hard link {path!r} names {original!r}, which is no file that came before it"
            )
        self._claim(path, "file")
        self._budget.spend_bytes((self._root / original).stat().st_size)
        (self._root / path).hardlink_to(self._root / original)

    def finish(self) -> None:
        """Check what only the whole tree shows, and give the folders their modes and times.

        Raises:
            UnfitSourceError: There is no file at all, or a link leads out or in circles by way of
                others.
        """
        if not self._files:
            raise UnfitSourceError("It holds no file", hint="Name the source that has the files")
        if (path := first_escape(self._links)) is not None:
            raise UnfitSourceError(
                f"The link {path!r} leads out of the tree or in circles, by way of other links"
            )
        # Deepest first: a folder that its owner may not search would hide what lies in it.
        for path in sorted(self._folders, key=lambda path: -path.count("/")):
            mode, mtime_ns = self._folders[path]
            if mtime_ns is not None:
                os.utime(self._root / path, ns=(mtime_ns, mtime_ns))
            (self._root / path).chmod(mode)
        self._root.chmod(0o755)

    def discard(self) -> None:
        """Remove everything, also what lies in folders that are read-only by now."""
        with contextlib.suppress(OSError):
            for path in self._folders:
                (self._root / path).chmod(0o700)
        shutil.rmtree(self._root, ignore_errors=True)

    def _claim(self, path: str, kind: Kind) -> None:
        check_path(path)
        self._make_folders_above(path)
        if path in self._kinds:
            raise UnfitSourceError(f"It holds {path!r} twice")
        self._budget.spend_entry()
        self._kinds[path] = kind
        if kind == "file":
            self._files += 1

    def _make_folders_above(self, path: str) -> None:
        missing = []
        above = path.rpartition("/")[0]
        while above and (kind := self._kinds.get(above)) != "folder":
            if kind is not None:
                raise UnfitSourceError(f"The path {path!r} goes through {above!r}, a {kind}")
            missing.append(above)
            above = above.rpartition("/")[0]
        for folder in reversed(missing):
            self._budget.spend_entry()
            self._kinds[folder] = "folder"
            self._folders[folder] = (0o755, None)
            self._implied.add(folder)
            (self._root / folder).mkdir(mode=0o700)

    @contextlib.contextmanager
    def _new_file(self, path: str, mode: int, mtime_ns: int | None) -> Iterator[int]:
        self._claim(path, "file")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        out = os.open(self._root / path, flags, 0o600)
        try:
            yield out
            # After the last write, which would clear the set-user-ID bit.
            os.fchmod(out, mode)
            if mtime_ns is not None:
                os.utime(out, ns=(mtime_ns, mtime_ns))
        finally:
            os.close(out)

    def _write(self, out: int, chunk: bytes) -> None:
        self._budget.spend_bytes(len(chunk))
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(out, rest) :]


def archive_time(seconds: float) -> int | None:
    """A time from an archive in nanoseconds since 1970; none where it cannot be meant."""
    return int(seconds * 1_000_000_000) if 0 <= seconds < _LATEST_TIME else None
