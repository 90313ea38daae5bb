"""Where the files of events are: a folder, or a bucket of a store that speaks S3."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Final, Protocol
from urllib.parse import urlsplit

from repoint.fleet.events.failures import explained
from repoint.fs.durable import make_folder, sync_folder, write_durably
from repoint.model.errors import RepointError

_TIMEOUT: Final = "60s"
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}


class EventStoreError(RepointError):
    """The store of events does not do its part; a later attempt may succeed."""


class EventAddressError(RepointError):
    """The address names no folder or bucket."""


class ObjectStore(Protocol):
    """Files by name. A name is a relative path with slashes."""

    def create(self, name: str, data: bytes) -> bool:
        """Store a file unless there is one with that name; return whether it was stored."""

    def replace(self, name: str, data: bytes) -> None:
        """Store a file, in place of one with that name if there is one, in one step."""

    def read(self, name: str) -> bytes:
        """Return the content of a file."""

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""

    def names(self) -> list[str]:
        """Return the names of all files, in order."""


def open_objects(address: str) -> ObjectStore:
    """Open the store of an address: a folder, or ``s3://BUCKET/PREFIX``.

    The settings of S3 come from the environment: ``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``,
    ``AWS_SECRET_ACCESS_KEY``, ``AWS_REGION``.

    Raises:
        EventAddressError: The address has another form.
    """
    if not address.startswith("s3://"):
        if "://" in address or not address:
            raise EventAddressError(
                f"{address[:80]!r} is no place for events", hint="Name a folder, or s3://BUCKET"
            )
        return Folder(Path(address))
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    if not bucket:
        raise EventAddressError("The address names no bucket", hint="Write it as s3://BUCKET")
    return Bucket(bucket, prefix.strip("/"))


class Folder:
    """Files in a folder. What was stored is on disk."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def create(self, name: str, data: bytes) -> bool:
        """Store a file unless there is one with that name; return whether it was stored."""
        path = self._path(name)
        if path.exists():
            return False
        self._write(path, data)
        return True

    def replace(self, name: str, data: bytes) -> None:
        """Store a file, in place of one with that name if there is one, in one step."""
        self._write(self._path(name), data)

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        try:
            return self._path(name).read_bytes()
        except OSError as error:
            raise _failed(self._root, error.strerror or "") from error

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
            sync_folder(path.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _failed(self._root, error.strerror or "") from error

    def names(self) -> list[str]:
        """Return the names of all files, in order."""
        return sorted(
            path.relative_to(self._root).as_posix()
            for path in self._root.rglob("*.parquet")
            if not path.name.startswith(".")
        )

    def _path(self, name: str) -> Path:
        return self._root.joinpath(*PurePosixPath(name).parts)

    def _write(self, path: Path, data: bytes) -> None:
        try:
            for folder in reversed((path.parent, *path.parent.parents)):
                if not folder.exists():
                    make_folder(folder, mode=0o750)
            write_durably(path, data, mode=0o640)
        except OSError as error:
            raise _failed(self._root, error.strerror or "") from error


class Bucket:
    """Files in a bucket. Only a store that honours ``If-None-Match`` keeps them from each other."""

    def __init__(self, bucket: str, prefix: str) -> None:
        from obstore.store import S3Store

        endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
        if endpoint.scheme == "http" and endpoint.hostname not in _LOOPBACK:
            raise EventAddressError(
                f"AWS_ENDPOINT_URL names {endpoint.hostname} without encryption",
                hint="Use https, or http on this machine only",
            )
        self._where = f"s3://{bucket}" + (f" at {endpoint.netloc}" if endpoint.netloc else "")
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            client_options={
                "timeout": _TIMEOUT, "connect_timeout": "5s",
                "allow_http": endpoint.scheme == "http",
            },
            retry_config={"max_retries": 2},
        )  # fmt: skip

    def create(self, name: str, data: bytes) -> bool:
        """Store a file unless there is one with that name; return whether it was stored."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, BaseError

        try:
            obstore.put(self._store, name, data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return False
        except BaseError as error:
            raise _failed(self._where, str(error)) from error
        return True

    def replace(self, name: str, data: bytes) -> None:
        """Store a file, in place of one with that name if there is one, in one step."""
        import obstore
        from obstore.exceptions import BaseError

        try:
            obstore.put(self._store, name, data, use_multipart=False)
        except BaseError as error:
            raise _failed(self._where, str(error)) from error

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        import obstore
        from obstore.exceptions import BaseError

        try:
            return bytes(obstore.get(self._store, name).bytes())
        except BaseError as error:
            raise _failed(self._where, str(error)) from error

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        import obstore
        from obstore.exceptions import BaseError, NotFoundError

        try:
            obstore.delete(self._store, name)
        except (NotFoundError, FileNotFoundError):
            return
        except BaseError as error:
            raise _failed(self._where, str(error)) from error

    def names(self) -> list[str]:
        """Return the names of all files, in order."""
        import obstore
        from obstore.exceptions import BaseError

        try:
            found = [entry["path"] for page in obstore.list(self._store) for entry in page]
        except BaseError as error:
            raise _failed(self._where, str(error)) from error
        return sorted(name for name in found if name.endswith(".parquet"))


def _failed(where: object, reason: str) -> EventStoreError:
    meaning, todo = explained(reason)
    return EventStoreError(f"The store of events {where} failed: {meaning}", hint=todo)
