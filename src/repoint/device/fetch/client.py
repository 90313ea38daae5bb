"""The repository client: it returns only verified documents.

python-tuf's client verifies. Before it runs, the idle check makes one conditional request for the
timestamp. If that has not changed, and no trusted metadata has expired, everything else would be
what the device already has (see ``docs/security.md``).
"""

from __future__ import annotations

import codecs
import contextlib
import datetime as dt
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import msgspec
from tuf.api import exceptions as tuf
from tuf.api.metadata import Metadata, Root, TargetFile, Targets
from tuf.ngclient import Updater

from repoint.device.errors import NoNetworkError, NotTrustedError, StaleRepositoryError
from repoint.device.fetch.fetcher import DocumentVersion, Fetcher, file_digest
from repoint.device.fetch.network import Network
from repoint.device.store.files import read_note
from repoint.fs.durable import make_folder, sync, write_durably
from repoint.model.errors import RepointError

_DOCUMENT_LIMIT = 64 << 20
_TIMESTAMP_LIMIT = 16384
_DIGEST = re.compile("[0-9a-f]{64}|[0-9a-f]{128}")
"""SHA-256 or SHA-512, in hexadecimal digits."""


class _Signed(msgspec.Struct):
    expires: dt.datetime


class _Envelope(msgspec.Struct):
    signed: _Signed


class RepositoryClient:
    """A device's view of one repository.

    Args:
        url: The URL of the repository, without a trailing slash.
        metadata: The folder of the verified metadata.
        downloads: The folder for downloads.
        root: The pinned trusted root.
        network: How this device reaches repositories; directly by default.
        on_wait: See `Fetcher`.
    """

    def __init__(
        self, url: str, metadata: Path, downloads: Path, root: bytes,
        network: Network | None = None, on_wait: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self.url = url
        self.fetcher = Fetcher(network, on_wait)
        self._metadata = metadata
        self._downloads = downloads
        self._root = root
        self._updater: Updater | None = None

    def has_news(self) -> bool:
        """Return whether the repository may have changed. This makes at most one request.

        Raises:
            NoNetworkError: The repository cannot be reached.
        """
        known = self._known_timestamp()
        if known is None or not self._is_current():
            return True  # run TUF's full workflow, which starts with the root
        url = self._timestamp_url
        body, etag = self.fetcher.get_if_changed(url, known.etag, _TIMESTAMP_LIMIT)
        if body is None:
            return False
        if hashlib.sha256(body).hexdigest() == known.sha256:
            self._note_timestamp(DocumentVersion(etag, known.sha256))
            return False
        self.fetcher.preload(url, body, etag)
        return True

    def refresh(self) -> None:
        """Download and verify the repository's current metadata.

        Raises:
            NotTrustedError: The metadata is not signed by the trusted keys.
            StaleRepositoryError: The metadata is older than what this device has, or has expired.
            NoNetworkError: The repository cannot be reached.
        """
        # The update framework would create these with modes that depend on the umask.
        make_folder(self._metadata / "root_history")
        with self._explained():
            self._updater = Updater(
                metadata_dir=str(self._metadata),
                metadata_base_url=f"{self.url}/metadata/",
                target_base_url=f"{self.url}/targets/",
                fetcher=self.fetcher,
                bootstrap=self._root,
            )
            self._updater.refresh()

    def record_version(self) -> None:
        """Make the next check a conditional one. Call it once all documents are stored."""
        timestamp = self._metadata / "timestamp.json"
        current = self.fetcher.versions.get(self._timestamp_url)
        # The response may have been rejected, or differ from the trusted timestamp.
        if current is not None and timestamp.exists() and file_digest(timestamp) == current.sha256:
            # The recorded version must not survive a power cut that loses the metadata.
            for file in self._metadata.glob("[!.]*.json"):
                if not file.is_symlink():
                    sync(file)
            sync(self._metadata)
            self._note_timestamp(current)

    def forget_version(self) -> None:
        """Make the next check a full one."""
        (self._metadata / "seen").unlink(missing_ok=True)

    def find(self, path: str) -> TargetFile | None:
        """Return the signed length and digest of a target, or None if it does not exist."""
        if self._updater is None:
            self.refresh()
        assert self._updater is not None  # noqa: S101
        with self._explained():
            return self._updater.get_targetinfo(path)

    def find_required(self, path: str) -> TargetFile:
        """Return the signed length and digest of a target that must exist.

        Raises:
            NotTrustedError: It does not exist.
        """
        target = self.find(path)
        if target is None:
            raise NotTrustedError(
                f"The repository at {self.url} has no signed {path}",
                hint="Check product, version, build and platform, or tell the vendor",
            )
        return target

    def products(self) -> list[str]:
        """Return the products of the repository, by its verified metadata."""
        path = self._metadata / "targets.json"
        with self._explained():
            delegations = Metadata[Targets].from_file(str(path)).signed.delegations
        return sorted(delegations.roles or ()) if delegations is not None else []

    def read(self, path: str) -> bytes:
        """Return the content of a signed document.

        Raises:
            NotTrustedError: It does not exist, or is not what was signed.
        """
        target = self.find_required(path)
        if target.length > _DOCUMENT_LIMIT:
            raise NotTrustedError(
                f"{path} has {target.length} bytes, more than a document may have",
                hint="Tell the vendor; it was not downloaded",
            )
        document = self.download(target)
        try:
            return document.read_bytes()
        finally:
            document.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # a patch may be partly downloaded there
                self._downloads.rmdir()

    def download(
        self, target: TargetFile, *, progress: Callable[[int], None] | None = None
    ) -> Path:
        """Download a target, or resume its download, and verify it.

        Args:
            target: A result of `find`.
            progress: Called with the number of bytes downloaded so far.

        Returns:
            The verified file in the download folder.

        Raises:
            NotTrustedError: It is not what was signed; it is deleted.
            NoNetworkError: It cannot be downloaded; the part that arrived is kept.
        """
        digest = _digest_of(target)
        make_folder(self._downloads)
        file = self._downloads / digest
        if not (file.exists() and is_target(file, target)):
            part = self._downloads / f"{digest}.part"
            url = self._target_url(target, digest)
            resumed = part.exists()
            self.fetcher.download(url, part, target.length, progress=progress)
            fits = is_target(part, target)
            if resumed and not fits:
                # After a power cut, the part downloaded before may hold anything.
                part.unlink()
                self.fetcher.download(url, part, target.length, progress=progress)
                fits = is_target(part, target)
            if not fits:
                part.unlink()
                raise NotTrustedError(
                    f"{target.path} is not what the vendor signed: it was changed in transit",
                    hint="Try again, or use another network; nothing was installed",
                )
            part.replace(file)
        return file

    def _target_url(self, target: TargetFile, digest: str) -> str:
        folder, slash, name = target.path.rpartition("/")
        return f"{self.url}/targets/{quote(folder)}{slash}{digest}.{quote(name)}"

    @property
    def _timestamp_url(self) -> str:
        return f"{self.url}/metadata/timestamp.json"

    def _known_timestamp(self) -> DocumentVersion | None:
        seen = read_note(self._metadata / "seen", DocumentVersion)
        with contextlib.suppress(OSError):
            if seen and file_digest(self._metadata / "timestamp.json") == seen.sha256:
                return seen
        return None

    def _note_timestamp(self, version: DocumentVersion) -> None:
        if version.etag:
            write_durably(self._metadata / "seen", msgspec.json.encode(version))

    def _is_current(self) -> bool:
        """Return whether all metadata is present and none of it has expired."""
        now = dt.datetime.now(dt.UTC)
        try:
            files = [*self._metadata.glob("*.json")]
            return len(files) >= 4 and all(
                msgspec.json.decode(file.read_bytes(), type=_Envelope).signed.expires > now
                for file in files
            )
        except (OSError, msgspec.DecodeError):
            return False

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn python-tuf's errors into ours, which say what to do next."""
        url = self.url
        try:
            yield
        except tuf.ExpiredMetadataError as error:
            raise StaleRepositoryError(
                f"The repository at {url} has expired: {error}",
                hint="Check this device's clock; if it is right, the vendor must refresh the "
                "repository, or someone withholds updates from this device",
            ) from error
        except tuf.BadVersionNumberError as error:
            raise StaleRepositoryError(
                f"The repository at {url} is older than what this device already has: {error}",
                hint="Use another mirror, or try again later; nothing was changed",
            ) from error
        except tuf.UnsignedMetadataError as error:
            raise NotTrustedError(
                f"The repository at {url} is not signed with the keys this device trusts: {error}",
                hint="Check that the trusted root is the vendor's; nothing was changed",
            ) from error
        except tuf.DownloadLengthMismatchError as error:
            raise NotTrustedError(
                f"The repository at {url} sends more than its signed length: {error}",
                hint="Use another network or mirror; nothing was changed",
            ) from error
        except tuf.DownloadHTTPError as error:
            raise NotTrustedError(
                f"The repository is incomplete: {error}",
                hint="Check the repository's address; if it is right, tell the vendor",
            ) from error
        except tuf.DownloadError as error:
            if isinstance(error.__cause__, RepointError):
                raise error.__cause__ from None
            raise NoNetworkError(
                f"The repository at {url} cannot be read: {error}", hint="Try again later"
            ) from error
        except tuf.LengthOrHashMismatchError as error:
            raise NotTrustedError(
                f"{self.fetcher.last_url} was changed or damaged: it is not what was signed",
                hint="Try again, or use another network; nothing was changed",
            ) from error
        except (tuf.RepositoryError, ValueError) as error:
            raise NotTrustedError(
                f"{self.fetcher.last_url} was changed or damaged: {error}",
                hint="Try again, or use another network; nothing was changed",
            ) from error
        finally:
            self.fetcher.close_response()


def _digest_of(target: TargetFile) -> str:
    """Return the digest that names a target's file, on the server and on this device.

    It is checked first: it becomes a file name, and its signer may be malicious.
    """
    digest = next(iter(target.hashes.values()), "")
    if not _DIGEST.fullmatch(digest):
        raise NotTrustedError(
            f"{target.path} is signed with {digest[:80]!r}, which is not a digest",
            hint="Tell the vendor; nothing was downloaded",
        )
    return digest


def is_target(path: Path, target: TargetFile) -> bool:
    """Return whether a file has the signed length and digests."""
    with path.open("rb") as file:
        try:
            target.verify_length_and_hashes(file)
        except tuf.LengthOrHashMismatchError:
            return False
    return True


def read_root(path: Path) -> bytes:
    """Read the trusted root that the vendor gave to a person.

    Raises:
        NotTrustedError: The file cannot be read, or is not a trusted root.
    """
    hint = "Name the file root.json that the vendor gave you"
    try:
        data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
        signed: object = Metadata[Root].from_bytes(data).signed
    except OSError as error:
        raise NotTrustedError(
            f"The trusted root {path} cannot be read: {error.strerror}", hint=hint
        ) from None
    except (tuf.RepositoryError, ValueError):
        signed = None
    if not isinstance(signed, Root):
        raise NotTrustedError(f"{path} is not the trusted root of a repository", hint=hint)
    return data
