"""The JSON API, CSV and ``/metrics``, on a listener of their own.

Devices never reach this listener: it shows who runs what. On a network it needs a token.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from repoint.fleet.interfaces.answers import Answers
from repoint.fleet.interfaces.csv_text import csv_text
from repoint.fleet.interfaces.figures import Figures
from repoint.fleet.interfaces.openapi import RECORDS, document
from repoint.fleet.interfaces.prometheus import CONTENT_TYPE, exposition
from repoint.fleet.stores.errors import FleetStoreError

_ID: Final = re.compile("[0-9a-f]{32}")
_NUMBER: Final = re.compile("[0-9]{1,13}")
_PORT: Final = re.compile(":[0-9]+$")
_LATEST: Final = 2**40
_AT_ONCE: Final = 4
"""Answers that are computed at once; each may take tens of megabytes."""


class _ProblemError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def create_app(answers: Answers, figures: Figures, token: str = "") -> Starlette:
    """Return the application that other programs read.

    Args:
        answers: What there is to read.
        figures: The figures.
        token: The token that each request has to carry; empty for none.
    """
    described = document(needs_token=bool(token))
    at_once = CapacityLimiter(_AT_ONCE)

    async def openapi(_: Request) -> Response:
        return JSONResponse(described)

    async def healthy(_: Request) -> Response:
        return Response(status_code=204)

    async def metrics(_: Request) -> Response:
        def respond() -> Response:
            reading = figures.current()
            return Response(
                exposition(reading.figures),
                503 if reading.trouble else 200,
                media_type=CONTENT_TYPE,
            )

        return await to_thread.run_sync(respond, limiter=at_once)

    async def products(_: Request) -> Response:
        return _json(await run_in_threadpool(answers.products))

    async def find(request: Request) -> Response:
        identity = request.path_params["id"]
        if not _ID.fullmatch(identity):
            raise _ProblemError(400, "An id is 32 hexadecimal digits")
        found = await run_in_threadpool(answers.find, identity)
        if not found:
            raise _ProblemError(404, "Nothing is known of this id")
        return _json(found)

    def listed(name: str) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            product = request.path_params["product"]
            asked = _parameters(request)

            def respond() -> Response:
                if product not in answers.products():
                    raise _ProblemError(404, "There are no reports of this product")
                lines = answers.lines(name, product, asked.since, asked.offset)
                made = _csv(RECORDS[name][0], lines.rows) if asked.csv else _json(lines.rows)
                if lines.following:
                    query = urlencode({**lines.following, "format": "csv" if asked.csv else "json"})
                    made.headers["link"] = f'<{request.url.path}?{query}>; rel="next"'
                return made

            # Encoding takes as long as reading: neither may hold up devices.
            return await to_thread.run_sync(respond, limiter=at_once)

        return answer

    routes = [
        Route("/healthz", healthy),
        Route("/metrics", metrics),
        Route("/api/v1/openapi.json", openapi),
        Route("/api/v1/products", products),
        Route("/api/v1/ids/{id}", find),
        *[Route(f"/api/v1/products/{{product}}/{name}", listed(name)) for name in RECORDS],
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(_Guarded, token=token)],
        exception_handlers={_ProblemError: _problem, FleetStoreError: _away},
    )


class _Guarded:
    """Asks for the token. Without one, refuses requests that a browser makes for another site."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode() if token else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            problem = None
            if not self._expected:
                if not _is_address(headers.get(b"host", b"").decode("latin-1")):
                    problem = JSONResponse({"error": "Name the host by its address"}, 421)
            elif not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
                problem = JSONResponse(
                    {"error": "The token is missing or wrong"}, 401, {"www-authenticate": "Bearer"}
                )
            if problem is not None:
                await problem(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_address(host: str) -> bool:
    """Return whether a host is an address, or the name of this machine to itself.

    Any other name may be one that somebody made to resolve to this machine, so that a page of
    theirs can read what is here (DNS rebinding).
    """
    name = _PORT.sub("", host)
    if name.lower() == "localhost":
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


class _Asked(NamedTuple):
    since: int
    offset: int
    csv: bool


def _parameters(request: Request) -> _Asked:
    since = request.query_params.get("since", "0")
    if not _NUMBER.fullmatch(since) or int(since) > _LATEST:
        raise _ProblemError(400, "since is a time in seconds since 1970")
    offset = request.query_params.get("offset", "0")
    if not _NUMBER.fullmatch(offset) or int(offset) > _LATEST:
        raise _ProblemError(400, "offset is a number of lines")
    form = request.query_params.get("format", "json")
    if form not in ("json", "csv"):
        raise _ProblemError(400, "format is json or csv")
    return _Asked(int(since), int(offset), form == "csv")


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _csv(record: type[msgspec.Struct], rows: Sequence[msgspec.Struct]) -> Response:
    header = [
        name
        for field in msgspec.structs.fields(record)
        for name in (_letter_fields(field.type) or (field.name,))
    ]
    lines: list[list[object]] = [[*header]]
    for row in rows:
        cells: list[object] = []
        for name in row.__struct_fields__:
            value = getattr(row, name)
            cells += (
                msgspec.structs.astuple(value) if isinstance(value, msgspec.Struct) else [value]
            )
        lines.append(cells)
    return Response(csv_text(lines), media_type="text/csv; header=present")


def _letter_fields(kind: object) -> tuple[str, ...]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    return ()


async def _problem(_: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, _ProblemError) else 500
    return JSONResponse({"error": str(error)}, status)


async def _away(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 503, {"retry-after": "30"})
