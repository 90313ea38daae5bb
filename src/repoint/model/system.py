"""Which system a baseline belongs to, and the image that an improvement of it becomes there."""

from __future__ import annotations

import re

import msgspec

from repoint.model.errors import InvalidRecordError

_FIELD = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+~-]{0,63}")


class System(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The system that a baseline's components are files of: os-release(5).

    Attributes:
        id: Its ``ID``.
        version_id: Its ``VERSION_ID``; empty for a system that has none.
    """

    id: str
    version_id: str = ""

    def __post_init__(self) -> None:
        for text in filter(None, (self.id, self.version_id)):
            if not _FIELD.fullmatch(text):
                raise InvalidRecordError(f"{text!r} is no ID or VERSION_ID of a system")
        if not self.id or self.id == "_any":
            raise InvalidRecordError("A system has no ID")

    def __str__(self) -> str:
        return f"{self.id} {self.version_id}".rstrip()

    def fields(self) -> dict[str, str]:
        """What os-release(5) and extension-release(5) call it."""
        fields = {"ID": self.id, "VERSION_ID": self.version_id}
        return {name: text for name, text in fields.items() if text}


class Extension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The image of an improvement's layers, which the kernel checks: see ``seal.layers``.

    Attributes:
        root_hash: The root hash of its dm-verity tree.
        size: Bytes of the image, without the tree.
        first: The number of its first inode but the root's. No other letter of the baseline has
            that number or a later one in use, so that a number tells which letter a file is of.
    """

    root_hash: str
    size: int
    first: int

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.root_hash):
            raise InvalidRecordError(f"{self.root_hash!r} is no root hash")
        if self.size <= 0 or self.size % 4096 or self.first <= 0:
            raise InvalidRecordError("An image cannot have that size, or begin with that number")

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
    """``ID`` and ``VERSION_ID`` in the text of an os-release or extension-release file."""
    lines = [line.strip() for line in text.splitlines()]
    said = dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")
    return {name: said[name].strip("\"'") for name in ("ID", "VERSION_ID") if name in said}


def read_system(text: str, where: str) -> System:
    """The system that an os-release file speaks of.

    Args:
        text: The file's text.
        where: What to call it in an error.

    Raises:
        InvalidRecordError: It names no system.
    """
    fields = release_fields(text)
    try:
        return System(fields.get("ID", ""), fields.get("VERSION_ID", ""))
    except InvalidRecordError as error:
        raise InvalidRecordError(
            f"{where} names no system: {error.message}",
            hint="Name the file /etc/os-release of the system that the release is made for",
        ) from None


HIERARCHIES = ("/usr", "/opt")
"""What a system extension may hold: systemd-sysext(8)."""

_RELEASES = "usr/lib/extension-release.d"

_SYSTEMS_OWN = ("usr/lib/os-release", _RELEASES, "usr/.systemd-sysext", "opt/.systemd-sysext")
"""What says which system this is. An extension that shadows it could make itself fit for ever."""


def why_unfit(path: str, kind: str) -> str:
    """Why no system extension can hold a path of the system; empty where one can.

    Args:
        path: The path, without the slash before it.
        kind: Whether it is a file, link or folder.
    """
    tops = [hierarchy.lstrip("/") for hierarchy in HIERARCHIES]
    if path.partition("/")[0] not in tops or (path in tops and kind != "folder"):
        return (
            f"lies neither below {' nor below '.join(HIERARCHIES)}, "
            "where alone a system extension can reach"
        )
    if any(path == own or path.startswith(f"{own}/") for own in _SYSTEMS_OWN):
        return "says which system this is, and no extension may shadow it"
    return ""


def extension_name(product: str) -> str:
    """What systemd knows the layers of a product by."""
    return f"repoint-{product}"


def release_file(product: str) -> str:
    """The file, in an extension, by which systemd knows for which system it is."""
    return f"{_RELEASES}/extension-release.{extension_name(product)}"


def release_text(fields: dict[str, str]) -> str:
    """What stands in that file."""
    return "".join(f"{name}={text}\n" for name, text in fields.items())


def release_files(product: str, system: System) -> dict[str, bytes]:
    """That file and its content, in the image of an improvement for a system."""
    return {release_file(product): release_text(system.fields()).encode()}
