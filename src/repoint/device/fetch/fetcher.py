"""The device's HTTP client: verified lengths, a stall timeout and resumed downloads."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import urllib3
from tuf.api.exceptions import DownloadHTTPError, SlowRetrievalError
from tuf.ngclient.fetcher import FetcherInterface

from repoint.device.errors import NoNetworkError, NotTrustedError
from repoint.device.fetch.answers import (
    MISSING,
    PageError,
    page,
    refused,
    unreachable,
    without_page,
)
from repoint.device.fetch.connector import Connector, Traffic
from repoint.device.fetch.network import Network
from repoint.device.fetch.stall_timeout import read_chunks
from repoint.fs.durable import write_all
from repoint.model.address import Address

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

_ATTEMPTS = 4
_ROOT = re.compile(r"/[0-9]+\.root\.json")
_RANGE = re.compile(r"bytes ([0-9]+)-[0-9]+/([0-9]+|\*)", re.IGNORECASE)
_FAILURES = (urllib3.exceptions.HTTPError, SlowRetrievalError)


class DocumentVersion(msgspec.Struct, frozen=True):
    """One version of a document: its ETag, and the digest of its content."""

    etag: str
    sha256: str


class Fetcher(FetcherInterface):
    """Downloads files, and serves as python-tuf's fetcher for metadata.

    Args:
        network: How this device reaches repositories.
        on_wait: Called periodically from another thread while no data arrives. An exception that it
            raises, such as a cancellation, ends the request.

    Attributes:
        last_url: The URL that was requested last, for error messages.
        versions: The version of each metadata document that was fetched last, by its URL.
    """

    def __init__(
        self, network: Network | None = None, on_wait: Callable[[], None] | None = None
    ) -> None:
        self._on_wait = on_wait
        self._connector = Connector(network or Network(), on_wait)
        self._preloaded: dict[str, bytes] = {}
        self._response: BaseHTTPResponse | None = None
        self.last_url = ""
        self.versions: dict[str, DocumentVersion] = {}

    @property
    def traffic(self) -> Traffic:
        """The traffic so far."""
        return self._connector.traffic

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
            if response.status == 304 and etag:
                return None, etag
            if response.status != 200:
                raise self._refused(url, response)
            body = b""
            with self._connector.announced(url):
                for chunk in self._document(response, url):
                    body += chunk
                    if len(body) > limit:
                        raise NotTrustedError(
                            f"{url} is longer than {limit} bytes",
                            hint="Tell the vendor; nothing of it was used",
                        )
        except _FAILURES as error:
            raise unreachable(_host(url), error) from error
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
        resume = True
        for attempt in range(_ATTEMPTS):
            try:
                self._download_once(url, part, size, progress, resume=resume)
            except _NoRangeError:
                resume = False  # this server cannot continue a download
            except _FAILURES as error:
                if attempt == _ATTEMPTS - 1:
                    raise unreachable(_host(url), error) from error
                time.sleep(0.2 * 2**attempt)
            else:
                return
        raise NoNetworkError(
            f"{url} cannot be downloaded: the server cannot continue a download",
            hint="Try again later",
        )

    def _download_once(
        self,
        url: str,
        part: Path,
        size: int,
        progress: Callable[[int], None] | None,
        *,
        resume: bool,
    ) -> None:
        # Unbuffered, so that what has arrived is on disk however the download ends.
        with open(part, "ab", buffering=0, opener=_private) as file:
            have = file.tell()
            if have > size:
                file.truncate(0)
                have = 0
            if have < size:
                headers = {"Range": f"bytes={have}-"} if have and resume else {}
                response = self._open(url, headers)
                on_wait = self._on_wait if progress is None else (lambda: progress(have))
                body = read_chunks(response, on_wait=on_wait)
                try:
                    start = self._start(response, url, have if headers else 0, size)
                    misfit = _misfit(response, size)
                    for chunk in without_page(body, response, _host(url)):
                        if misfit:
                            raise _wrong_size(url, misfit, size, response)
                        if start < have:
                            # Only now is it known that the file comes, and not a portal's page.
                            file.truncate(start)
                            have = start
                        if have + len(chunk) > size:
                            file.truncate(0)
                            raise _wrong_size(url, "longer", size, response)
                        write_all(file.fileno(), chunk)
                        self.traffic.received += len(chunk)
                        have += len(chunk)
                        start = have
                        if progress is not None:
                            progress(have)
                    if have < size and _is_whole(response):
                        if not misfit:
                            file.truncate(0)
                        raise _wrong_size(url, "shorter", size, response)
                finally:
                    body.close()
                    response.close()
            os.fsync(file.fileno())
        if have < size:
            raise urllib3.exceptions.IncompleteRead(have, size - have)

    def _start(self, response: BaseHTTPResponse, url: str, have: int, size: int) -> int:
        """Return the offset in the file of the first byte of the response.

        Args:
            response: The response.
            url: The URL that was requested.
            have: The offset that was requested; 0 for the whole file.
            size: The signed size of the file.

        Raises:
            _NoRangeError: It is an answer to a request for a range only.
            NoNetworkError: It brings no file.
        """
        if response.status == 206 and have and "Content-Encoding" not in response.headers:
            found = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
            if found and int(found[1]) == have and found[2] in ("*", str(size)):
                return have
        if response.status == 200:
            return 0
        if have and response.status not in (401, 407, 511):
            raise _NoRangeError
        raise self._refused(url, response)

    def _open(self, url: str, headers: dict[str, str]) -> BaseHTTPResponse:
        self.last_url = url
        return self._connector.open(url, headers)

    def _refused(self, url: str, response: BaseHTTPResponse) -> NoNetworkError:
        return refused(url, _host(url), response, known=self._connector.identifies(url))

    def _fetch(self, url: str) -> Iterator[bytes]:
        self.last_url = url
        if url in self._preloaded:
            return iter([self._preloaded.pop(url)])
        response = self._open(url, {})
        if response.status != 200:
            response.close()
            if response.status in MISSING:
                raise DownloadHTTPError(
                    f"{url} responds with status {response.status}",
                    # The client takes only these two for "there is no newer root".
                    404 if response.status == 410 else response.status,
                )
            raise self._refused(url, response)
        return self._counted(url, response)

    def _counted(self, url: str, response: BaseHTTPResponse) -> Iterator[bytes]:
        digest = hashlib.sha256()
        self._response = response
        try:
            with self._connector.announced(url):
                for chunk in self._document(response, url):
                    digest.update(chunk)
                    yield chunk
            self.versions[url] = DocumentVersion(
                response.headers.get("ETag", ""), digest.hexdigest()
            )
        except PageError:
            if not _ROOT.search(url):
                raise
            # Some servers answer with a page and status 200 where there is no file.
            raise DownloadHTTPError(f"{url} is a web page", 404) from None
        except _FAILURES as error:
            raise unreachable(_host(url), error) from error
        finally:
            self.close_response()

    def _document(self, response: BaseHTTPResponse, url: str) -> Generator[bytes, None, None]:
        """Yield a JSON document in chunks, and count them."""
        body = read_chunks(response, on_wait=self._on_wait)
        try:
            for chunk in without_page(body, response, _host(url), json=True):
                self.traffic.received += len(chunk)
                yield chunk
        finally:
            body.close()


class _NoRangeError(Exception):
    """The server does not continue a download as it was asked to."""


def _misfit(response: BaseHTTPResponse, size: int) -> str:
    """Return how the announced length of a whole file differs from its signed size, or ""."""
    length = response.headers.get("Content-Length", "")
    if response.status != 200 or "Content-Encoding" in response.headers or not length.isdecimal():
        return ""
    return "" if int(length) == size else "longer" if int(length) > size else "shorter"


def _wrong_size(
    url: str, what: str, size: int, response: BaseHTTPResponse
) -> NotTrustedError | PageError:
    if response.headers.get("Content-Type", "").lower().startswith("text/"):
        return page(_host(url))
    return NotTrustedError(
        f"{url} is {what} than its signed size of {size} bytes",
        hint="Try again, or use another network; nothing was installed",
    )


def _is_whole(response: BaseHTTPResponse) -> bool:
    """Return whether a body that has ended is complete, and not cut off."""
    headers = response.headers
    return "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "").lower()


def file_digest(path: Path) -> str:
    """Return the SHA-256 digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _host(url: str) -> str:
    return Address.redirected(url).netloc


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
