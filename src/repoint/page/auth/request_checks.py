"""Checks of every request before anything else reads it, and security headers of every response.

Any site that a person visits can make the browser send requests to this machine, and a name on the
internet may resolve to it (DNS rebinding). A request is accepted only if all of these hold:

- its Host is our own address;
- the browser does not say that another site caused it (Sec-Fetch-Site, Origin);
- the kernel knows the account that sent it, and the connection is still open;
- a change comes from one of our own pages (Origin). This is stricter than a SameSite cookie, which
  treats all ports of an address as one site.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Other origins never learn the path, which holds the session's key. With no-referrer, browsers
    # would send no Origin with forms either.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
LINK_PATH = "/open/"
"""The path of one-time links. Whoever knows one may follow it from anywhere."""

_SAFE_METHODS = ("GET", "HEAD")


@dataclass(frozen=True)
class RequestChecks:
    """Middleware that refuses foreign requests and adds security headers to every response.

    Attributes:
        app: Handles the accepted requests.
        address: Host and port that the page is served at.
    """

    app: ASGIApp
    address: tuple[str, int]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request and pass it on; ``request.state.uid`` is the account behind it."""
        if scope["type"] != "http":
            return

        send_with_headers = with_headers(send, SECURITY_HEADERS)
        uid = scope["state"]["connection"].uid()
        host = "{}:{}".format(*self.address)
        # ``repoint settings`` opens a file that leads to the link, which browsers call another
        # site.
        problem = foreign_reason(
            scope, host, f"http://{host}", followed=scope["path"].startswith(LINK_PATH)
        )
        if problem or uid is None:
            reason = problem or "the account behind this request is unknown"
            response = PlainTextResponse(f"Refused: {reason}\n", 403)
            await response(scope, receive, send_with_headers)
            return
        scope["state"]["uid"] = uid
        await self.app(scope, receive, send_with_headers)


def with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    """Return ``send`` that adds headers to the response, and forbids to store it by default."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            sent = MutableHeaders(scope=message)
            sent.update(headers)
            sent.setdefault("Cache-Control", "no-store")
        await send(message)

    return send_with_headers


def foreign_reason(scope: Scope, host: str, own_origin: str, *, followed: bool) -> str:
    """Return why a request is not one of our own pages'; empty if it is.

    Args:
        scope: The request.
        host: The host, with its port, that the page is served at.
        own_origin: The origin of the page, such as ``http://127.0.0.1:8080``.
        followed: Whether a link or a redirect of another site may lead to this path.
    """
    headers = Headers(scope=scope)
    if headers.getlist("host") != [host]:
        return "it names another host"
    by_link = followed and headers.get("sec-fetch-mode") == "navigate"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not by_link:
        return "another site caused it"
    origin = headers.get("origin")
    if origin is not None and origin != own_origin:
        return "another site sent it"
    if scope["method"] not in _SAFE_METHODS and origin is None:
        return "it does not name the page that sent it"
    return ""


def first_cookie(headers: Headers, name: str) -> str:
    """Return the value of the first cookie of a name; empty if there is none.

    Servers at other ports of an address can set cookies of any name, too, but not for the path of a
    session, which they do not know. Browsers send those with longer paths first (RFC 6265, section
    5.4).
    """
    for header in headers.getlist("cookie"):
        for cookie in header.split(";"):
            key, _, value = cookie.strip().partition("=")
            if key == name:
                return value
    return ""
