"""Construction of a tree, path by path, so that nothing is written outside of it."""

from __future__ import annotations

import contextlib
import os
import posixpath
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from repoint.fs.clone import copy_content
from repoint.fs.durable import write_all
from repoint.model.tree import Kind, check_link, check_path
from repoint.publisher.ingest.errors import UnfitSourceError
from repoint.publisher.ingest.limits import Budget, Limits
from repoint.tree.links import first_escape
from repoint.tree.merged_usr import is_merging_link, merged_path, relative_target

CHUNK = 1 << 20
"""Bytes per read and write."""

_ZEROS = bytes(CHUNK)

_LATEST_TIME = 1 << 33
"""Seconds since 1970 (the year 2242). A later time in an archive is considered garbage."""


class TreeBuilder:
    """Writes the paths of one source below a folder that no other process writes to.

    Args:
        root: The folder.
        limits: The largest tree to accept.
        system: Whether the paths are relative to the root of a system. Then the tree is what the
            system has, with /bin, /lib and /sbin in /usr, and absolute links stay in the tree.

    Rules for any source:
      - a path is relative, has no ``..`` and occurs once; a folder that was implied by a path below
        it may still follow with its mode;
      - the parent of a path is a real folder, never a link or a file;
      - a link stays inside the tree, also through other links;
      - a hard link refers to an earlier file or link;
      - bytes and paths are counted before they are written.

    `finish` sets the modes and times of the folders.
    """

    def __init__(self, root: Path, limits: Limits, *, system: bool = False) -> None:
        self._root = root
        self._system = system
        self._budget = Budget(limits)
        self._kinds: dict[str, Kind] = {}
        self._links: dict[str, str] = {}
        self._given_targets: dict[str, str] = {}
        self._folders: dict[str, tuple[int, int | None]] = {}
        self._implied: set[str] = set()
        self._files = 0

    def add_folder(self, path: str, *, mode: int, mtime_ns: int | None = None) -> None:
        """Add a folder with its permission bits and its time, in nanoseconds since 1970."""
        path = self._placed(path)
        if path in self._implied:
            self._implied.remove(path)
        elif self._system and self._kinds.get(path) == "folder":
            return  # both ./lib and ./usr/lib
        else:
            self._claim(path, "folder")
            (self._root / path).mkdir(mode=0o700)
        self._folders[path] = (mode, mtime_ns)

    def add_file(
        self, path: str, chunks: Iterable[bytes], *, mode: int, mtime_ns: int | None = None
    ) -> None:
        """Add a file with the content ``chunks``."""
        with self._new_file(path, mode, mtime_ns) as out:
            for chunk in chunks:
                self._write(out, chunk)
            os.ftruncate(out, os.lseek(out, 0, os.SEEK_CUR))

    def leave_out(self, chunks: Iterable[bytes]) -> None:
        """Read content that does not belong to the tree. It counts towards the limits."""
        self._budget.spend_entry()
        for chunk in chunks:
            self._budget.spend_bytes(len(chunk))

    def copy_file(self, path: str, source: int, *, mode: int, mtime_ns: int | None) -> None:
        """Add a file with the content of an open file. Blocks are shared and holes kept."""
        with self._new_file(path, mode, mtime_ns) as out:
            self._budget.spend_bytes(os.fstat(source).st_size)
            copy_content(source, out)

    def add_link(self, path: str, target: str, *, mtime_ns: int | None = None) -> None:
        """Add a symbolic link."""
        given = target
        if self._system:
            if is_merging_link(path):
                return
            path = merged_path(path)
            target = relative_target(path, target)
            if posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) == path:
                return  # a link from the one of two merged folders to the other
        check_link(path, target)
        try:
            target.encode()
        except UnicodeEncodeError:
            raise UnfitSourceError(
                f"The link {path!r} has a target that is not valid UTF-8, {target!r}"
            ) from None
        self._claim(path, "link")
        self._links[path], self._given_targets[path] = target, given
        (self._root / path).symlink_to(target)
        if mtime_ns is not None:
            os.utime(self._root / path, ns=(mtime_ns, mtime_ns), follow_symlinks=False)

    def add_hard_link(self, path: str, original: str) -> None:
        """Add a second name for an earlier file or link."""
        path, original = self._placed(path), self._placed(original)
        check_path(original)
        if original in self._links:
            self.add_link(path, self._given_targets[original])
            return
        if self._kinds.get(original) != "file":
            raise UnfitSourceError(
                f"The hard link {path!r} refers to {original!r}, which is not an earlier file"
            )
        self._claim(path, "file")
        self._budget.spend_bytes((self._root / original).stat().st_size)
        (self._root / path).hardlink_to(self._root / original)

    def finish(self) -> None:
        """Check the whole tree, and set the modes and times of the folders.

        Raises:
            UnfitSourceError: The tree has no file, or a link leads out or in circles through other
                links.
        """
        if not self._files:
            raise UnfitSourceError("It contains no file", hint="Name the source that has the files")
        if (path := first_escape(self._links)) is not None:
            raise UnfitSourceError(
                f"The link {path!r} leads out of the tree or in circles through other links"
            )
        # Deepest first: the paths below a folder that its owner may not search are inaccessible.
        for path in sorted(self._folders, key=lambda path: -path.count("/")):
            mode, mtime_ns = self._folders[path]
            if mtime_ns is not None:
                os.utime(self._root / path, ns=(mtime_ns, mtime_ns))
            (self._root / path).chmod(mode)
        self._root.chmod(0o755)

    def discard(self) -> None:
        """Remove everything, including what is in read-only folders."""
        with contextlib.suppress(OSError):
            for path in self._folders:
                (self._root / path).chmod(0o700)
        shutil.rmtree(self._root, ignore_errors=True)

    def _placed(self, path: str) -> str:
        return merged_path(path) if self._system else path

    def _claim(self, path: str, kind: Kind) -> None:
        check_path(path)
        self._make_folders_above(path)
        if path in self._kinds:
            raise UnfitSourceError(f"It contains {path!r} twice")
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
        path = self._placed(path)
        self._claim(path, "file")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        out = os.open(self._root / path, flags, 0o600)
        try:
            yield out
            # After the last write, because a write clears the set-user-ID bit.
            os.fchmod(out, mode)
            if mtime_ns is not None:
                os.utime(out, ns=(mtime_ns, mtime_ns))
        finally:
            os.close(out)

    def _write(self, out: int, chunk: bytes) -> None:
        self._budget.spend_bytes(len(chunk))
        if len(chunk) == CHUNK and chunk == _ZEROS:
            os.lseek(out, CHUNK, os.SEEK_CUR)  # a hole
        else:
            write_all(out, chunk)


def archive_time(seconds: float) -> int | None:
    """Convert an archive's time to nanoseconds since 1970, or None if it is implausible."""
    return int(seconds * 1_000_000_000) if 0 <= seconds < _LATEST_TIME else None
