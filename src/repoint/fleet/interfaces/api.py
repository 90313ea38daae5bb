"""The JSON API, CSV and ``/metrics``, on a listener of their own.

Devices never reach this listener: it shows who runs what. On a network it needs a token.
"""

from __future__ import annotations

import csv
import hmac
import io
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from repoint.fleet.interfaces.answers import Answers
from repoint.fleet.interfaces.figures import Figures
from repoint.fleet.interfaces.openapi import RECORDS, document
from repoint.fleet.interfaces.prometheus import CONTENT_TYPE, exposition
from repoint.fleet.stores.errors import FleetStoreError

_ID: Final = re.compile("[0-9a-f]{32}")
_SINCE: Final = re.compile("[0-9]{1,13}")
_LATEST: Final = 2**40


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

    async def openapi(_: Request) -> Response:
        return JSONResponse(described)

    async def healthy(_: Request) -> Response:
        return Response(status_code=204)

    async def metrics(_: Request) -> Response:
        reading = await run_in_threadpool(figures.current)
        return Response(
            await run_in_threadpool(exposition, reading.figures),
            503 if reading.trouble else 200,
            media_type=CONTENT_TYPE,
        )

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
            since, as_csv = _parameters(request)
            if product not in await run_in_threadpool(answers.products):
                raise _ProblemError(404, "There are no reports of this product")
            rows = await run_in_threadpool(getattr(answers, name), product, since)
            return _csv(RECORDS[name][0], rows) if as_csv else _json(rows)

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
    """Asks for the token, and keeps browsers from showing answers to other sites."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode() if token else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._expected:
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                answer = JSONResponse(
                    {"error": "The token is missing or wrong"}, 401, {"www-authenticate": "Bearer"}
                )
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _parameters(request: Request) -> tuple[int, bool]:
    since = request.query_params.get("since", "0")
    if not _SINCE.fullmatch(since) or int(since) > _LATEST:
        raise _ProblemError(400, "since is a time in seconds since 1970")
    form = request.query_params.get("format", "json")
    if form not in ("json", "csv"):
        raise _ProblemError(400, "format is json or csv")
    return int(since), form == "csv"


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _csv(record: type[msgspec.Struct], rows: Sequence[msgspec.Struct]) -> Response:
    text = io.StringIO()
    writer = csv.writer(text)
    header = [
        name
        for field in msgspec.structs.fields(record)
        for name in (_letter_fields(field.type) or (field.name,))
    ]
    writer.writerow(header)
    for row in rows:
        cells: list[object] = []
        for name in row.__struct_fields__:
            value = getattr(row, name)
            cells += (
                msgspec.structs.astuple(value) if isinstance(value, msgspec.Struct) else [value]
            )
        writer.writerow(cells)
    return Response(text.getvalue(), media_type="text/csv; header=present")


def _letter_fields(kind: object) -> tuple[str, ...]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    return ()


async def _problem(_: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, _ProblemError) else 500
    return JSONResponse({"error": str(error)}, status)


async def _away(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 503, {"retry-after": "30"})
