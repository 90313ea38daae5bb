"""The device's HTTP client: with limits, retries, a stall timeout and resumed downloads."""

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
from repoint.device.fetch.stall_timeout import POOLS, read_chunks
from repoint.fs.durable import write_all

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

_TIMEOUT = urllib3.Timeout(connect=10.0, read=30.0)
_ATTEMPTS = 4


@dataclass
class Traffic:
    """How many requests were made, and how many bytes of their bodies arrived."""

    requests: int = 0
    received: int = 0


class DocumentVersion(msgspec.Struct, frozen=True):
    """One version of a document: its ETag, and the digest of its content."""

    etag: str
    sha256: str


class Fetcher(FetcherInterface):
    """Downloads files, and serves as python-tuf's fetcher for metadata.

    Args:
        on_wait: Called periodically from another thread while no data arrives. An exception that it
            raises, such as a cancellation, ends the request.

    Attributes:
        last_url: The URL that was requested last, for error messages.
        versions: The version of each metadata document that was fetched last, by its URL.
        traffic: The traffic so far.
    """

    def __init__(self, on_wait: Callable[[], None] | None = None) -> None:
        self._on_wait = on_wait
        self._pool = urllib3.PoolManager(
            headers={"User-Agent": f"repoint/{__version__}", "Accept-Encoding": "identity"},
            timeout=_TIMEOUT,
            # A server does not decide how long a device waits before it retries.
            retries=urllib3.Retry(
                total=2, redirect=3, backoff_factor=0.1, respect_retry_after_header=False
            ),
        )
        self._pool.pool_classes_by_scheme = POOLS
        self._preloaded: dict[str, bytes] = {}
        self._response: BaseHTTPResponse | None = None
        self.last_url = ""
        self.versions: dict[str, DocumentVersion] = {}
        self.traffic = Traffic()

    def close_response(self) -> None:
        """Close the response that python-tuf has stopped reading, if there is one."""
        if self._response is not None:
            self._response.close()
            self._response = None

    def preload(self, url: str, body: bytes, etag: str) -> None:
        """Answer python-tuf's next request for ``url`` with ``body``, which was just fetched."""
        self._preloaded[url] = body
        self.versions[url] = DocumentVersion(etag, hashlib.sha256(body).hexdigest())

    def get_if_changed(self, url: str, etag: str, limit: int) -> tuple[bytes | None, str]:
        """Request a document unless its version is still ``etag``.

        Args:
            url: The URL of the document.
            etag: The version that the device has, or "".
            limit: The maximum length in bytes.

        Returns:
            The content, or None if it has not changed; and the current ETag.

        Raises:
            NoNetworkError: The document cannot be downloaded.
            NotTrustedError: The document is longer than the limit.
        """
        headers = {"If-None-Match": etag} if etag else {}
        response = self._open(url, headers)
        try:
            if response.status == 304:
                return None, etag
            if response.status != 200:
                raise NoNetworkError(
                    f"{url} responds with status {response.status}", hint=_hint(response.status)
                )
            body = b""
            for chunk in read_chunks(response, on_wait=self._on_wait):
                body += chunk
                self.traffic.received += len(chunk)
                if len(body) > limit:
                    raise NotTrustedError(
                        f"{url} is longer than {limit} bytes",
                        hint="Tell the vendor; nothing of it was used",
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
        """Download into ``part``, resuming an interrupted download.

        Args:
            url: The URL of the file.
            part: The file to write; existing content is taken as the beginning of the file.
            size: The signed size in bytes; no byte beyond it is written.
            progress: Called with the number of bytes downloaded so far: after each chunk, and
                periodically from another thread while no data arrives. An exception that it
                raises, such as a cancellation, ends the download; the part that arrived is kept.

        Raises:
            NoNetworkError: The file cannot be downloaded, or arrives too slowly.
            NotTrustedError: The file is longer or shorter than its signed size.
        """
        for attempt in range(_ATTEMPTS):
            try:
                self._download_once(url, part, size, progress)
            except (urllib3.exceptions.HTTPError, SlowRetrievalError) as error:
                if attempt == _ATTEMPTS - 1:
                    raise _unreachable(url, error) from error
                time.sleep(0.2 * 2**attempt)
            else:
                return

    def _download_once(
        self, url: str, part: Path, size: int, progress: Callable[[int], None] | None
    ) -> None:
        # Unbuffered, so that what has arrived is on disk however the download ends.
        with open(part, "ab", buffering=0, opener=_private) as file:
            have = file.tell()
            if have > size:
                file.truncate(0)
                have = 0
            if have < size:
                headers = {"Range": f"bytes={have}-"} if have else {}
                response = self._open(url, headers)
                on_wait = self._on_wait if progress is None else (lambda: progress(have))
                body = read_chunks(response, on_wait=on_wait)
                try:
                    have = self._offset(response, file.fileno(), url, have)
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

    def _offset(self, response: BaseHTTPResponse, file: int, url: str, have: int) -> int:
        """Return the offset in the file of the first byte of the response."""
        if response.status == 206:
            start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
            if start is not None and int(start[1]) == have:
                return have
        if response.status in (200, 206, 416):
            # The server sends the whole file, or has a shorter file than our part.
            os.ftruncate(file, 0)
            if response.status == 200:
                return 0
            raise urllib3.exceptions.ProtocolError("the server sent another range")
        raise NoNetworkError(
            f"{url} responds with status {response.status}", hint=_hint(response.status)
        )

    def _open(self, url: str, headers: dict[str, str]) -> BaseHTTPResponse:
        """Send a request. Closing a response that is not read to its end aborts it."""
        self.traffic.requests += 1
        self.last_url = url
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
        self.last_url = url
        if url in self._preloaded:
            return iter([self._preloaded.pop(url)])
        response = self._open(url, {})
        if response.status != 200:
            response.close()
            raise DownloadHTTPError(
                f"{url} responds with status {response.status}", response.status
            )
        return self._counted(url, response)

    def _counted(self, url: str, response: BaseHTTPResponse) -> Iterator[bytes]:
        digest = hashlib.sha256()
        self._response = response
        try:
            for chunk in read_chunks(response, on_wait=self._on_wait):
                self.traffic.received += len(chunk)
                digest.update(chunk)
                yield chunk
            self.versions[url] = DocumentVersion(
                response.headers.get("ETag", ""), digest.hexdigest()
            )
        except (urllib3.exceptions.HTTPError, SlowRetrievalError) as error:
            raise _unreachable(url, error) from error
        finally:
            self.close_response()


def check_url(url: str) -> str:
    """Return a repository's URL without a trailing slash.

    Raises:
        NotEnrolledError: It is not an http or https URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotEnrolledError(
            f"{url!r} is not the URL of a repository",
            hint="Write it as https://updates.example.org/kiosk",
        )
    return url.rstrip("/")


def file_digest(path: Path) -> str:
    """Return the SHA-256 digest of a file."""
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
        problem = "its name cannot be resolved"
    elif isinstance(reason, urllib3.exceptions.NewConnectionError):
        problem = "it does not accept connections"
    elif isinstance(reason, (urllib3.exceptions.TimeoutError, SlowRetrievalError)):
        problem = "it responds too slowly"
    elif isinstance(reason, urllib3.exceptions.SSLError):
        problem = "its certificate is not accepted"
    else:
        problem = "the connection was interrupted"
    return NoNetworkError(
        f"The repository at {host} cannot be reached: {problem}",
        hint="Check the network and try again; what was downloaded is kept",
    )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
