"""The fixed tree of a component: what a source gives, and what an improvement may not change."""

from __future__ import annotations

import os
from pathlib import Path

from repoint.fs.clone import copy_content, create_private
from repoint.model.baseline import Component
from repoint.model.tree import Entry
from repoint.publisher.errors import UnfitChangeError
from repoint.publisher.ingest import unpack_source
from repoint.publisher.ingest.errors import UnfitSourceError
from repoint.tree.compare import changed, check_entries
from repoint.tree.scan import digest_file, scan_tree

_PRIVILEGES = 0o6000
"""Set-user-ID and set-group-ID."""


def fixed_tree(
    source: Path, into: Path, component: Component, *, system: bool
) -> tuple[Entry, ...]:
    """Return the entries of a fixed component.

    A folder is read where it is, and only the files that differ from the baseline are copied: most
    files of most fixes do not.

    Args:
        source: Folder, wheel, .deb or tar archive with the whole component.
        into: A folder that does not exist yet. Gets at least the files that differ.
        component: The baseline's component.
        system: Whether the baseline names its system.

    Raises:
        UnfitChangeError: A program gains a privilege.
        RepointError: The source is unfit, or changes meanwhile.
    """
    if system or not source.is_dir():
        unpack_source(source, into, system=system)
        entries = scan_tree(into, ignore=component.ignore)
    else:
        entries = scan_tree(source, ignore=component.ignore)
        check_entries(entries)
        _copy_changed(source, into, component, entries)
    if not any(entry.kind == "file" for entry in entries):
        raise UnfitSourceError(
            f"{source} cannot be used as a source: It contains no file",
            hint="Name the source that has the files",
        )
    _require_no_new_privilege(component, entries)
    return entries


def _copy_changed(
    source: Path, into: Path, component: Component, entries: tuple[Entry, ...]
) -> None:
    into.mkdir()
    for entry in changed(component.entries, entries):
        if entry.kind != "file":
            continue
        path = into / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        _copy(source / entry.path, path)
        if digest_file(path) != (entry.size, entry.sha256):
            raise UnfitSourceError(
                f"{source / entry.path} changed while it was read",
                hint="Try again when it is still",
            )


def _copy(source: Path, target: Path) -> None:
    old = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        new = create_private(target)
        try:
            copy_content(old, new)
        finally:
            os.close(new)
    finally:
        os.close(old)


def _require_no_new_privilege(component: Component, entries: tuple[Entry, ...]) -> None:
    """Refuse what every device would refuse."""
    had = {entry.path: entry.mode & _PRIVILEGES for entry in component.entries}
    for entry in entries:
        gained = entry.mode & _PRIVILEGES & ~had.get(entry.path, 0)
        if entry.kind == "file" and gained:
            which = "set-user-ID" if gained & 0o4000 else "set-group-ID"
            raise UnfitChangeError(
                f"{entry.path} of {component.name} is {which}, and the baseline's is not",
                hint="Remove the bit with `chmod ug-s`; a new privilege needs a full release",
            )
