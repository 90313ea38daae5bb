"""HTTP for the device: limited, patient to a point, and resumable."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
import urllib3
from tuf.api.exceptions import DownloadHTTPError, SlowRetrievalError
from tuf.ngclient.fetcher import FetcherInterface

from repoint import __version__
from repoint.device.errors import NoNetworkError, NotEnrolledError, NotTrustedError
from repoint.device.fetch.stall_timeout import POOLS, watched
from repoint.fs.durable import write_all

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

_TIMEOUT = urllib3.Timeout(connect=10.0, read=30.0)
_TRIES = 4


@dataclass
class Traffic:
    """What was asked of the network, for people and for benchmarks."""

    requests: int = 0
    received: int = 0


class DocumentVersion(msgspec.Struct, frozen=True):
    """One version of a document: the server's name for it, and the digest of its bytes."""

    etag: str
    sha256: str


class Fetcher(FetcherInterface):
    """Fetches metadata for the update framework, and can be handed what was fetched before it.

    Args:
        meanwhile: Called now and then while nothing comes, from another thread. An exception from
            it, such as a cancellation, ends what is being fetched.

    Attributes:
        last: The address that was asked for last, to say where something is wrong.
        versions: What each metadata document was when it came last, by its address.
        traffic: What was asked of the network so far.
    """

    def __init__(self, meanwhile: Callable[[], None] | None = None) -> None:
        self._meanwhile = meanwhile
        self._pool = urllib3.PoolManager(
            headers={"User-Agent": f"repoint/{__version__}", "Accept-Encoding": "identity"},
            timeout=_TIMEOUT,
            # A server does not decide how long a device waits before it asks again.
            retries=urllib3.Retry(
                total=2, redirect=3, backoff_factor=0.1, respect_retry_after_header=False
            ),
        )
        self._pool.pool_classes_by_scheme = POOLS
        self._ready: dict[str, bytes] = {}
        self._unread: BaseHTTPResponse | None = None
        self.last = ""
        self.versions: dict[str, DocumentVersion] = {}
        self.traffic = Traffic()

    def let_go(self) -> None:
        """Cut off the answer that the update framework has stopped reading, if there is one."""
        if self._unread is not None:
            self._unread.close()
            self._unread = None

    def hand_over(self, url: str, body: bytes, etag: str) -> None:
        """Use ``body`` for the next request of ``url``, which was made just now."""
        self._ready[url] = body
        self.versions[url] = DocumentVersion(etag, hashlib.sha256(body).hexdigest())

    def get_if_changed(self, url: str, etag: str, limit: int) -> tuple[bytes | None, str]:
        """Ask for a document that is at hand in the version ``etag``.

        Args:
            url: The document.
            etag: Its version at hand; empty for none.
            limit: Bytes to read at the most.

        Returns:
            Its content, or nothing where it has not changed; and its version now.

        Raises:
            NoNetworkError: It cannot be had.
            NotTrustedError: It is longer than the limit.
        """
        headers = {"If-None-Match": etag} if etag else {}
        response = self._open(url, headers)
        try:
            if response.status == 304:
                return None, etag
            if response.status != 200:
                raise NoNetworkError(
                    f"{url} answers with status {response.status}", hint=_hint(response.status)
                )
            body = b""
            for chunk in watched(response, meanwhile=self._meanwhile):
                body += chunk
                self.traffic.received += len(chunk)
                if len(body) > limit:
                    raise NotTrustedError(
                        f"{url} is longer than {limit} bytes",
                        hint="Tell the vendor; it was not read",
                    )
        except (urllib3.exceptions.HTTPError, SlowRetrievalError) as error:
            raise _unreachable(url, error) from error
        finally:
            response.close()
        return body, response.headers.get("ETag", "")

    def download(
        self,
        url: str,
        part: Path,
        size: int,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Download into ``part``, going on where an earlier download broke off.

        Args:
            url: The file.
            part: Where to put it; what stands there already is taken for its beginning.
            size: Its signed size in bytes; no byte beyond it is written.
            progress: Told the bytes that are there, now and then, while nothing comes from another
                thread. An exception from it, such as a cancellation, ends the download; what has
                come is kept.

        Raises:
            NoNetworkError: It cannot be had, or too slowly.
            NotTrustedError: It is longer or shorter than its signed size.
        """
        for attempt in range(_TRIES):
            try:
                self._download_once(url, part, size, progress)
            except (urllib3.exceptions.HTTPError, SlowRetrievalError) as error:
                if attempt == _TRIES - 1:
                    raise _unreachable(url, error) from error
                time.sleep(0.2 * 2**attempt)
            else:
                return

    def _download_once(
        self, url: str, part: Path, size: int, progress: Callable[[int], None] | None
    ) -> None:
        # Unbuffered, so that what has come is on disk however the download ends.
        with part.open("ab", buffering=0) as file:
            have = file.tell()
            if have > size:
                file.truncate(0)
                have = 0
            if have < size:
                headers = {"Range": f"bytes={have}-"} if have else {}
                response = self._open(url, headers)
                told = self._meanwhile if progress is None else (lambda: progress(have))
                body = watched(response, meanwhile=told)
                try:
                    have = self._placed(response, file.fileno(), url, have)
                    for chunk in body:
                        if have + len(chunk) > size:
                            file.truncate(0)
                            raise NotTrustedError(
                                f"{url} is longer than its signed size of {size} bytes",
                                hint="Tell the vendor; nothing was installed",
                            )
                        write_all(file.fileno(), chunk)
                        self.traffic.received += len(chunk)
                        have += len(chunk)
                        if progress is not None:
                            progress(have)
                    if have < size and "Content-Length" in response.headers:
                        raise NotTrustedError(
                            f"{url} is shorter than its signed size of {size} bytes",
                            hint="Try again, or use another network; nothing was installed",
                        )
                finally:
                    body.close()
                    response.close()
            os.fsync(file.fileno())
        if have < size:
            raise urllib3.exceptions.IncompleteRead(have, size - have)

    def _placed(self, response: BaseHTTPResponse, file: int, url: str, have: int) -> int:
        """Where in the file the answer's first byte belongs."""
        if response.status == 206:
            start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
            if start is not None and int(start[1]) == have:
                return have
        if response.status in (200, 206, 416):
            # The server starts again, or has a shorter file than we hold a part of.
            os.ftruncate(file, 0)
            if response.status == 200:
                return 0
            raise urllib3.exceptions.ProtocolError("the server sent another part")
        raise NoNetworkError(
            f"{url} answers with status {response.status}", hint=_hint(response.status)
        )

    def _open(self, url: str, headers: dict[str, str]) -> BaseHTTPResponse:
        """Ask for a document. Whoever closes an answer that is not read whole cuts it off."""
        self.traffic.requests += 1
        self.last = url
        try:
            return self._pool.request(
                "GET",
                url,
                headers={**self._pool.headers, **headers},
                preload_content=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise _unreachable(url, error) from error

    def _fetch(self, url: str) -> Iterator[bytes]:
        self.last = url
        if url in self._ready:
            return iter([self._ready.pop(url)])
        response = self._open(url, {})
        if response.status != 200:
            response.close()
            raise DownloadHTTPError(f"{url} answers with status {response.status}", response.status)
        return self._counted(url, response)

    def _counted(self, url: str, response: BaseHTTPResponse) -> Iterator[bytes]:
        digest = hashlib.sha256()
        self._unread = response
        try:
            for chunk in watched(response, meanwhile=self._meanwhile):
                self.traffic.received += len(chunk)
                digest.update(chunk)
                yield chunk
            self.versions[url] = DocumentVersion(
                response.headers.get("ETag", ""), digest.hexdigest()
            )
        except (urllib3.exceptions.HTTPError, SlowRetrievalError) as error:
            raise _unreachable(url, error) from error
        finally:
            self.let_go()


def check_url(url: str) -> str:
    """Return a repository's address without a trailing slash.

    Raises:
        NotEnrolledError: It is not an http or https address.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotEnrolledError(
            f"{url!r} is not the address of a repository",
            hint="Write it as https://updates.example.org/kiosk",
        )
    return url.rstrip("/")


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hint(status: int) -> str:
    if status in (401, 403, 404):
        return "Check the repository's address; if it is right, tell the vendor"
    return "Try again later"


def _unreachable(url: str, error: Exception) -> NoNetworkError:
    host = urlsplit(url).netloc
    reason = error
    if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
        reason = error.reason
    if isinstance(reason, urllib3.exceptions.NameResolutionError):
        said = "its name is not known here"
    elif isinstance(reason, urllib3.exceptions.NewConnectionError):
        said = "nothing answers there"
    elif isinstance(reason, (urllib3.exceptions.TimeoutError, SlowRetrievalError)):
        said = "it answers too slowly"
    elif isinstance(reason, urllib3.exceptions.SSLError):
        said = "its certificate is not accepted"
    else:
        said = "the connection broke off"
    return NoNetworkError(
        f"The repository at {host} cannot be reached: {said}",
        hint="Check the network and try again; what was downloaded is kept",
    )
