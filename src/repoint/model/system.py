"""The system that a baseline belongs to, and the system extension image of an improvement."""

from __future__ import annotations

import re

import msgspec

from repoint.model.errors import InvalidRecordError

_FIELD = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+~-]{0,63}")


class System(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The system whose files the components of a baseline are: os-release(5).

    Attributes:
        id: Its ``ID``.
        version_id: Its ``VERSION_ID``; empty if it has none.
    """

    id: str
    version_id: str = ""

    def __post_init__(self) -> None:
        for text in filter(None, (self.id, self.version_id)):
            if not _FIELD.fullmatch(text):
                raise InvalidRecordError(f"{text!r} is not an ID or VERSION_ID of a system")
        if not self.id or self.id == "_any":
            raise InvalidRecordError("A system has no ID")

    def __str__(self) -> str:
        return f"{self.id} {self.version_id}".rstrip()

    def fields(self) -> dict[str, str]:
        """Return the fields of os-release(5) and extension-release(5)."""
        fields = {"ID": self.id, "VERSION_ID": self.version_id}
        return {name: text for name, text in fields.items() if text}


class Extension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The image of an improvement's layers, which dm-verity checks: see `repoint.image`.

    Attributes:
        root_hash: Root hash of its dm-verity tree.
        size: Bytes of the image, without the tree.
        first: Number of its first inode after the root's. Earlier letters of the baseline use only
            lower numbers, so an inode number identifies the letter that a file belongs to.
    """

    root_hash: str
    size: int
    first: int

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.root_hash):
            raise InvalidRecordError(f"{self.root_hash!r} is not a root hash")
        if self.size <= 0 or self.size % 4096 or self.first <= 0:
            raise InvalidRecordError("An image cannot have that size or first inode number")

    @property
    def disk_size(self) -> int:
        """Bytes of the image and the file of its hash tree.

        dm-verity stores a superblock, and above every 4096-byte block a 32-byte digest, level by
        level up to a single block.
        """
        blocks = self.size // 4096
        tree = 4096
        while blocks > 1:
            blocks = -(-blocks // 128)
            tree += blocks * 4096
        return self.size + tree


def release_fields(text: str) -> dict[str, str]:
    """Parse ``ID`` and ``VERSION_ID`` from an os-release or extension-release file."""
    lines = [line.strip() for line in text.splitlines()]
    fields = dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")
    return {name: fields[name].strip("\"'") for name in ("ID", "VERSION_ID") if name in fields}


def read_system(text: str, where: str) -> System:
    """Parse an os-release file.

    Args:
        text: The file's text.
        where: The name of the file in an error.

    Raises:
        InvalidRecordError: It does not name a system.
    """
    fields = release_fields(text)
    try:
        return System(fields.get("ID", ""), fields.get("VERSION_ID", ""))
    except InvalidRecordError as error:
        raise InvalidRecordError(
            f"{where} does not name a system: {error.message}",
            hint="Name the /etc/os-release of the system that the release is made for",
        ) from None


HIERARCHIES = ("/usr", "/opt")
"""The hierarchies that a system extension may contain: systemd-sysext(8)."""

_RELEASES = "usr/lib/extension-release.d"

_SYSTEMS_OWN = ("usr/lib/os-release", _RELEASES, "usr/.systemd-sysext", "opt/.systemd-sysext")
"""Files that identify the system. An extension that shadows them would fit any later system."""


def why_unfit(path: str, kind: str) -> str:
    """Return why a system extension cannot contain a path; empty if it can.

    Args:
        path: The path, without the leading slash.
        kind: ``file``, ``link`` or ``folder``.
    """
    roots = [hierarchy.lstrip("/") for hierarchy in HIERARCHIES]
    if path.partition("/")[0] not in roots or (path in roots and kind != "folder"):
        return (
            f"lies neither below {' nor below '.join(HIERARCHIES)}, "
            "and a system extension cannot reach elsewhere"
        )
    if any(path == own or path.startswith(f"{own}/") for own in _SYSTEMS_OWN):
        return "identifies the system, and no extension may shadow it"
    return ""


def extension_name(product: str) -> str:
    """Return the name of a product's system extension."""
    return f"repoint-{product}"


def release_file(product: str) -> str:
    """Return the path of the extension-release file in a product's extension."""
    return f"{_RELEASES}/extension-release.{extension_name(product)}"


def release_text(fields: dict[str, str]) -> str:
    """Return the text of an extension-release file."""
    return "".join(f"{name}={text}\n" for name, text in fields.items())


def release_files(product: str, system: System) -> dict[str, bytes]:
    """Return the extension-release file of an improvement's image, by path."""
    return {release_file(product): release_text(system.fields()).encode()}
