"""Asking the repository: signed documents in, nothing unverified out.

The update framework's own client does the verifying. What stands before it is the idle check: one
conditional request for the timestamp. If that has not changed, and nothing that is trusted has
expired, everything else would be what the device holds already (see ``docs/security.md``).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import msgspec
from tuf.api import exceptions as tuf
from tuf.api.metadata import Metadata, Root, TargetFile
from tuf.ngclient import Updater

from repoint.device.errors import NoNetworkError, NotTrustedError, StaleRepositoryError
from repoint.device.fetch.fetcher import DocumentVersion, Fetcher, file_digest
from repoint.device.store.files import read_note
from repoint.fs.durable import sync, write_durably
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
        url: Address of the repository, without a trailing slash.
        metadata: Folder of what was verified before.
        downloads: Folder for what is on its way.
        root: The pinned trusted root.
        meanwhile: See `Fetcher`.
    """

    def __init__(
        self, url: str, metadata: Path, downloads: Path, root: bytes,
        meanwhile: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self.url = url
        self.fetcher = Fetcher(meanwhile)
        self._metadata = metadata
        self._downloads = downloads
        self._root = root
        self._updater: Updater | None = None

    def has_news(self) -> bool:
        """Whether the repository may hold something that was not seen yet: one request at most.

        Raises:
            NoNetworkError: It cannot be reached.
        """
        known = self._known_timestamp()
        if known is None or not self._is_current():
            return True  # the full workflow, in the update framework's own order: the root first
        url = self._timestamp_url
        body, now = self.fetcher.get_if_changed(url, known.etag, _TIMESTAMP_LIMIT)
        if body is None:
            return False
        if hashlib.sha256(body).hexdigest() == known.sha256:
            self._note_timestamp(DocumentVersion(now, known.sha256))
            return False
        self.fetcher.hand_over(url, body, now)
        return True

    def refresh(self) -> None:
        """Take over the repository's current state, verified.

        Raises:
            NotTrustedError: It is not signed as it must be.
            StaleRepositoryError: It is older than what was seen, or has expired.
            NoNetworkError: It cannot be reached.
        """
        self._metadata.mkdir(parents=True, exist_ok=True)
        with self._explained():
            self._updater = Updater(
                metadata_dir=str(self._metadata),
                metadata_base_url=f"{self.url}/metadata/",
                target_base_url=f"{self.url}/targets/",
                fetcher=self.fetcher,
                bootstrap=self._root,
            )
            self._updater.refresh()

    def remember(self) -> None:
        """Let the next check be a conditional one. Call it when all news was taken in."""
        timestamp = self._metadata / "timestamp.json"
        fresh = self.fetcher.versions.get(self._timestamp_url)
        # The answer may have been refused, or have another body than what is trusted.
        if fresh is not None and timestamp.exists() and file_digest(timestamp) == fresh.sha256:
            # What makes the next check a short one must not outlast what it speaks of.
            for file in self._metadata.glob("[!.]*.json"):
                if not file.is_symlink():
                    sync(file)
            sync(self._metadata)
            self._note_timestamp(fresh)

    def forget(self) -> None:
        """Let the next check be a full one."""
        (self._metadata / "seen").unlink(missing_ok=True)

    def find(self, path: str) -> TargetFile | None:
        """The signed length and digest of a target, or nothing where it does not exist."""
        if self._updater is None:
            self.refresh()
        assert self._updater is not None  # noqa: S101
        with self._explained():
            return self._updater.get_targetinfo(path)

    def need(self, path: str) -> TargetFile:
        """Like `find`, for what must exist.

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

    def read(self, path: str) -> bytes:
        """A signed document, verified.

        Raises:
            NotTrustedError: It does not exist, or is not the signed one.
        """
        target = self.need(path)
        if target.length > _DOCUMENT_LIMIT:
            raise NotTrustedError(f"{path} has {target.length} bytes, more than a document may")
        place = self.download(target)
        try:
            return place.read_bytes()
        finally:
            place.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # a patch may be on its way there
                self._downloads.rmdir()

    def download(
        self, target: TargetFile, *, progress: Callable[[int], None] | None = None
    ) -> Path:
        """Download a target, or go on with it, and verify it.

        Args:
            target: From `find`.
            progress: Told the bytes that are there.

        Returns:
            The verified file in the download folder.

        Raises:
            NotTrustedError: It is not the signed one; it is thrown away.
            NoNetworkError: It cannot be had; what has come is kept.
        """
        digest = _digest_of(target)
        self._downloads.mkdir(parents=True, exist_ok=True)
        done = self._downloads / digest
        if not (done.exists() and is_target(done, target)):
            part = self._downloads / f"{digest}.part"
            url = self._target_url(target, digest)
            begun = part.exists()
            self.fetcher.download(url, part, target.length, progress=progress)
            fits = is_target(part, target)
            if begun and not fits:
                # A power loss may have left anything in what had come before.
                part.unlink()
                self.fetcher.download(url, part, target.length, progress=progress)
                fits = is_target(part, target)
            if not fits:
                part.unlink()
                raise NotTrustedError(
                    f"{target.path} is not what the vendor signed: it was changed on its way",
                    hint="Try again, or use another network; nothing was installed",
                )
            part.replace(done)
        return done

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
        """Whether nothing of what was verified has expired."""
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
        """Turn the update framework's errors into ones that say what to do."""
        url = self.url
        try:
            yield
        except tuf.ExpiredMetadataError as error:
            raise StaleRepositoryError(
                f"The repository at {url} has expired: {error}",
                hint="Check this device's clock; if it is right, the vendor must refresh the "
                "repository, or somebody keeps news from this device",
            ) from error
        except tuf.BadVersionNumberError as error:
            raise StaleRepositoryError(
                f"The repository at {url} is older than what this device has seen: {error}",
                hint="Use another mirror, or try again later; nothing was changed",
            ) from error
        except tuf.UnsignedMetadataError as error:
            raise NotTrustedError(
                f"The repository at {url} is not signed with the keys this device trusts: {error}",
                hint="Check that the trusted root is the vendor's; nothing was changed",
            ) from error
        except tuf.DownloadLengthMismatchError as error:
            raise NotTrustedError(
                f"The repository at {url} sends more than it may: {error}",
                hint="Use another network or mirror; nothing was changed",
            ) from error
        except tuf.DownloadHTTPError as error:
            raise NotTrustedError(
                f"The repository is not whole: {error}",
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
                f"{self.fetcher.last} was changed or damaged: it is not what was signed",
                hint="Try again, or use another network; nothing was changed",
            ) from error
        except (tuf.RepositoryError, ValueError) as error:
            raise NotTrustedError(
                f"{self.fetcher.last} was changed or damaged: {error}",
                hint="Try again, or use another network; nothing was changed",
            ) from error
        finally:
            self.fetcher.let_go()


def _digest_of(target: TargetFile) -> str:
    """The digest by which a target is stored, on the server and here.

    It becomes the name of a file, and whoever signed it may mean harm.
    """
    digest = next(iter(target.hashes.values()), "")
    if not _DIGEST.fullmatch(digest):
        raise NotTrustedError(
            f"{target.path} is signed with {digest[:80]!r}, which is no digest",
            hint="Tell the vendor; nothing was downloaded",
        )
    return digest


def is_target(path: Path, target: TargetFile) -> bool:
    """Whether a file has the signed length and digests."""
    with path.open("rb") as file:
        try:
            target.verify_length_and_hashes(file)
        except tuf.LengthOrHashMismatchError:
            return False
    return True


def read_root(path: Path) -> bytes:
    """Read the trusted root that a vendor has given to a person.

    Raises:
        NotTrustedError: The file cannot be read, or holds no root.
    """
    hint = "Name the file root.json that the vendor gave you"
    try:
        data = path.read_bytes()
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
