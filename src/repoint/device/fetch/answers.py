"""What the answer of a server, or its silence, means; each becomes one line for a person."""

from __future__ import annotations

import datetime as dt
import email.utils
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import urllib3
from tuf.api.exceptions import SlowRetrievalError

from repoint.device.errors import NoNetworkError, TryLaterError
from repoint.device.fetch.tls import tls_problem

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

MISSING = (403, 404, 410)
"""The statuses of a file that does not exist; object stores answer 403."""

LONGEST_WAIT = 4 * 3600
"""The longest delay in seconds that a server may ask for."""

_PAGE = re.compile(rb"\s*(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body|script|meta|!--)", re.I)
_ENOUGH = 32
"""Bytes at the beginning of a body that show whether it is a page."""


class PageError(TryLaterError):
    """A web page came in the place of a file: a portal wants a login, or the file is missing."""


def refused(url: str, host: str, response: BaseHTTPResponse, *, known: bool) -> NoNetworkError:
    """Return the error for a response that brings no file.

    Args:
        url: The URL that was requested.
        host: The host that responded.
        response: The response.
        known: Whether this device has sent a user name and a password.
    """
    status, after = response.status, retry_after(response.headers.get("Retry-After", ""))
    again = _again(after)
    if status == 511:
        return page(host, after)
    if status == 407:
        return NoNetworkError(
            "The proxy asks for a user name and a password (status 407)",
            hint="Name them in the network settings file (see the agent guide)",
        )
    if status == 429:
        return TryLaterError(
            f"The repository at {host} has too many requests (status 429)", hint=again, after=after
        )
    if status == 503:
        return TryLaterError(
            f"The repository at {host} is out of service for the moment (status 503)",
            hint=again, after=after,
        )  # fmt: skip
    if status == 401:
        return NoNetworkError(
            f"The repository at {host} does not accept this device's user name and password"
            if known
            else f"The repository at {host} asks for a user name and a password (status 401)",
            hint="Correct them in the network settings file (see the agent guide)",
        )
    if status in MISSING:
        hint = "Check the repository's address; if it is right, tell the vendor"
        return NoNetworkError(f"{url} responds with status {status}", hint=hint)
    if status >= 500 or status in (408, 425):
        return TryLaterError(f"{url} responds with status {status}", hint=again, after=after)
    return NoNetworkError(f"{url} responds with status {status}", hint="Try again later")


def page(host: str, after: int = 0) -> PageError:
    """Return the error for a web page in the place of a file of the repository."""
    return PageError(
        f"A web page answered instead of the repository at {host}; it looks like a page that asks "
        "for a login",
        hint="Log in to this network with a browser, or try again later",
        after=after,
    )


def without_page(
    body: Iterable[bytes], response: BaseHTTPResponse, host: str, *, json: bool = False
) -> Iterator[bytes]:
    """Yield the body of a response, unless it is a web page.

    Args:
        body: The body in chunks.
        response: The response.
        host: The host that responded.
        json: Whether the body should be JSON. If it is not, and is said to be text, it is a page.

    Raises:
        PageError: It is a web page; nothing of it was yielded.
    """
    chunks = iter(body)
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= _ENOUGH:
            break
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    is_text = kind in ("application/xhtml+xml", "application/xml") or kind.startswith("text/")
    if _PAGE.match(head) or (json and is_text and head and not head.lstrip().startswith(b"{")):
        raise page(host)
    if head:
        yield head
    yield from chunks


def retry_after(text: str, *, now: dt.datetime | None = None) -> int:
    """Return the seconds of a ``Retry-After`` header, limited to `LONGEST_WAIT`; 0 for none."""
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        seconds = float(text)
    else:
        try:
            when = email.utils.parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return 0
        when = when if when.tzinfo else when.replace(tzinfo=dt.UTC)
        seconds = (when - (now or dt.datetime.now(dt.UTC))).total_seconds()
    return int(min(max(seconds, 0), LONGEST_WAIT))


def unreachable(
    host: str, error: Exception, *, proxy: str = "", role: str = "repository"
) -> NoNetworkError:
    """Return the error for a connection that failed.

    Args:
        host: The host of the repository.
        error: What urllib3 raised.
        proxy: The proxy that was used, or "".
        role: What the host is.
    """
    hint = "Check the network and try again; what was downloaded is kept"
    if isinstance(error, urllib3.exceptions.ProxyError):
        if "407" in str(error.original_error):
            return NoNetworkError(
                f"The proxy {proxy} asks for a user name and a password (status 407)",
                hint="Name them in the network settings file (see the agent guide)",
            )
        refusal = re.search(r"Tunnel connection failed: (\d{3})", str(error.original_error))
        if refusal:
            return TryLaterError(
                f"The proxy {proxy} refuses to connect to {host} (status {refusal[1]})",
                hint="Try again later, or ask the operator of the proxy",
            )
        return NoNetworkError(
            f"The proxy {proxy} cannot be reached: {_reason(error.original_error)}",
            hint="Check the proxy's address in the network settings or the environment",
        )
    if isinstance(error, urllib3.exceptions.SSLError):
        problem, hint = tls_problem(error)
    else:
        problem = _reason(error)
    return NoNetworkError(f"The {role} at {host} cannot be reached: {problem}", hint=hint)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "its name cannot be resolved"
    if isinstance(error, (urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.TimeoutError)):
        # A refused connection is a kind of connect timeout in urllib3.
        if isinstance(error, urllib3.exceptions.NewConnectionError):
            return "it does not accept connections"
        return "it responds too slowly"
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "it does not accept connections"
    if isinstance(error, SlowRetrievalError):
        return "it responds too slowly"
    if isinstance(error, urllib3.exceptions.SSLError):
        return tls_problem(error)[0]
    return "the connection was interrupted"


def _again(seconds: int) -> str:
    if seconds < 60:
        return "Try again later"
    minutes = -(-seconds // 60)
    return f"Try again in {minutes} minute{'' if minutes == 1 else 's'}"
