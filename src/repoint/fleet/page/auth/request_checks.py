"""Checks of every request before anything else reads it, and security headers of every response.

A request is accepted only if its Host is the page's own, the browser does not say that another site
caused it, and a change comes from one of our own pages. Another site may lead a browser to the page
by a link, and the OpenID provider leads it back. Such a request carries no cookie of a session.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from repoint.fleet.page.auth.address import Address
from repoint.model.printable import one_line
from repoint.page.auth.request_checks import SECURITY_HEADERS, foreign_reason, with_headers

_LOG = logging.getLogger(__name__)
_YEAR = 31_536_000


@dataclass(frozen=True)
class RequestChecks:
    """Middleware that refuses foreign requests and adds security headers to every response.

    Attributes:
        app: Handles the accepted requests.
        address: Where the page is served.
    """

    app: ASGIApp
    address: Address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request and pass it on."""
        if scope["type"] != "http":
            return
        headers = dict(SECURITY_HEADERS)
        if self.address.secure:
            headers["Strict-Transport-Security"] = f"max-age={_YEAR}"
        send = with_headers(send, headers)
        problem = foreign_reason(
            scope, self.address.host, self.address.origin, followed=scope["method"] == "GET"
        )
        if problem:
            await PlainTextResponse(f"Refused: {problem}\n", 403)(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            # The person has seen a page already; the operator of the server needs one line.
            what = one_line(f"{scope['method']} {scope['path']}: {type(error).__name__}: {error}")
            _LOG.error("The fleet page could not answer %s", what[:500])
