"""What every request must be, before anything else looks at it.

Every site that a person visits can make the browser send requests to this machine, and a name on
the internet may lead here (DNS rebinding). So a request counts only if it names our own address as
host, if the browser does not say that another site caused it, and if it comes from a program of
somebody whose account this page serves. A change must besides come from one of our own pages
(Origin), which is stricter than cookies are: for them, all ports of an address are one site.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from repoint.page.auth.peers import uid_behind

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: browsers then send no Origin with forms either.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_LOOKING = ("GET", "HEAD")


@dataclass(frozen=True)
class Defence:
    """Refuses what does not come from this page's own visitors, and answers with strict headers.

    Attributes:
        app: What answers the other requests.
        address: Host and port that the page is served at.
    """

    app: ASGIApp
    address: tuple[str, int]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look at one request."""
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        uid = self._account(scope)
        why = _objection(scope, "{}:{}".format(*self.address))
        if why or uid is None:
            answer = PlainTextResponse(f"Refused: {why or 'whose request is this?'}\n", 403)
            await answer(scope, receive, guarded)
            return
        scope["state"]["uid"] = uid
        await self.app(scope, receive, guarded)

    def _account(self, scope: Scope) -> int | None:
        if scope["client"] is None:
            return None
        host, port = scope["client"]
        return uid_behind((host, port), self.address)


def _objection(scope: Scope, host: str) -> str:
    """Why a request is refused; empty where it is not."""
    headers = Headers(scope=scope)
    if headers.getlist("host") != [host]:
        return "it is meant for another host"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return "another site has caused it"
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return "another site has sent it"
    if scope["method"] not in _LOOKING and origin is None:
        return "it does not say which page has sent it"
    return ""
