"""Reading and writing the JSON records in one folder of the store."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TypeVar

import msgspec

from repoint.device.errors import StoreDamagedError
from repoint.fs.durable import make_folder, write_durably
from repoint.fs.regular import NotAFileError, read_regular
from repoint.model.encoding import encode_record

Record = TypeVar("Record", bound=msgspec.Struct)


class RecordFolder:
    """A folder whose files each hold one record.

    A file that is missing is an answer; a file that is damaged or unreadable is an error.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self, name: str) -> bool:
        """Return whether the file exists."""
        return (self.path / name).exists()

    def read(self, name: str, kind: type[Record]) -> Record | None:
        """Return the record in a file, or None if there is no such file.

        Raises:
            StoreDamagedError: The file is damaged or cannot be read.
        """
        path = self.path / name
        try:
            return msgspec.json.decode(read_regular(path), type=kind)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise damaged(path, str(error)) from None
        except NotAFileError:
            raise damaged(path, "it is not a file") from None
        except OSError as error:
            if error.errno == errno.ENOTDIR:
                raise damaged(path, f"it is not a file ({error.strerror})") from None
            raise StoreDamagedError(
                f"{path} cannot be read: {error.strerror}", hint="Run it as the store's owner"
            ) from error

    def read_required(self, name: str, kind: type[Record]) -> Record:
        """Return the record in a file that must exist.

        Raises:
            StoreDamagedError: The file is missing or damaged, or cannot be read.
        """
        record = self.read(name, kind)
        if record is None:
            raise damaged(self.path / name, "it is missing")
        return record

    def write(self, name: str, record: msgspec.Struct) -> None:
        """Write a record durably, and create the file's folder if it does not exist."""
        path = self.path / name
        make_folder(path.parent)
        write_durably(path, encode_record(record))

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        (self.path / name).unlink(missing_ok=True)


def read_note(path: Path, kind: type[Record]) -> Record | None:
    """Return a record that a device can do without; None if it is missing or damaged."""
    try:
        return msgspec.json.decode(read_regular(path), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def damaged(path: Path, reason: str) -> StoreDamagedError:
    """Return the error for a damaged file of the store."""
    return StoreDamagedError(
        f"{path} is damaged: {reason}",
        hint="Reinstall the product and enrol it again; nothing else was touched",
    )
