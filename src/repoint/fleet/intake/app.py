"""The two requests that devices make: send reports, and have what they sent forgotten.

| answer | meaning for the device |
|---|---|
| 202 | all of it is on disk |
| 400, 413 | never send this again; ``index`` says which report is wrong, if one is |
| 429, 503 | nothing was taken; send it again after ``Retry-After`` |
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from repoint.fleet.intake.group_commit import BusyError, GroupCommit
from repoint.fleet.intake.limits import AddressLimits
from repoint.fleet.intake.parsing import MAX_BODY, RefusedError, read_ids, read_reports
from repoint.fleet.stores.errors import DatabaseAwayError, TooManyNamesError
from repoint.fleet.stores.state import SqlState

_SECONDS_FOR_BODY: Final = 20.0
_DRAINED: Final = 16 * 1024 * 1024
"""Bytes of a body that are read; those above `MAX_BODY` are thrown away."""
_RETRY_AFTER_BUSY: Final = 30
_RETRY_AFTER_AWAY: Final = 60


@dataclass
class Counts:
    """What happened since the collector started.

    Attributes:
        reports: Reports on disk, by kind.
        answers: Answers by status.
        forgotten: Ids whose deletion was asked for.
        seconds: How long the answers took, in total.
    """

    reports: Counter[str] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)
    forgotten: int = 0
    seconds: float = 0.0


@dataclass
class Intake:
    """What the intake works with.

    Attributes:
        products: The products whose reports are taken; None for all.
        clock: The time, in seconds since 1970.
    """

    state: SqlState
    writer: GroupCommit
    limits: AddressLimits
    products: Callable[[], frozenset[str] | None]
    clock: Callable[[], float] = time.time
    counts: Counts = field(default_factory=Counts)

    async def take(self, request: Request) -> Response:
        """Answer ``POST /v1/reports``."""
        self._limit(request, 1)
        body = await _body(request)
        reports = read_reports(body, self.products())
        if len(reports) > 1:
            self._limit(request, len(reports) - 1)
        await self.writer.add(reports)
        self.counts.reports.update(report.kind for report in reports)
        return Response(status_code=202)

    async def forget(self, request: Request) -> Response:
        """Answer ``DELETE /v1/reports``."""
        self._limit(request, 1)
        ids = read_ids(await _body(request))
        await asyncio.to_thread(self.state.forget, ids, int(self.clock()))
        self.counts.forgotten += len(ids)
        return Response(status_code=202)

    def _limit(self, request: Request, reports: int) -> None:
        address = request.client.host if request.client is not None else ""
        wait = self.limits.wait(address, reports, time.monotonic())
        if wait:
            raise _LaterError("Too many reports from this address", 429, wait)


class _LaterError(Exception):
    def __init__(self, message: str, status: int, wait: int) -> None:
        super().__init__(message)
        self.status = status
        self.wait = wait


def create_app(intake: Intake) -> Starlette:
    """Return the application that devices talk to."""

    async def reports(request: Request) -> Response:
        started = time.perf_counter()
        handle = intake.take if request.method == "POST" else intake.forget
        response = await _answered(handle, request)
        intake.counts.answers[response.status_code] += 1
        intake.counts.seconds += time.perf_counter() - started
        return response

    return Starlette(routes=[Route("/v1/reports", reports, methods=["POST", "DELETE"])])


async def _answered(handle: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    try:
        return await handle(request)
    except RefusedError as error:
        return _answer(error.status, error.message, index=error.index)
    except TooManyNamesError as error:
        return _answer(400, error.message, index=error.index)
    except _LaterError as error:
        return _answer(error.status, str(error), wait=error.wait)
    except BusyError as error:
        return _answer(503, error.message, wait=_RETRY_AFTER_BUSY)
    except DatabaseAwayError:
        # The cause is for the operator's journal, not for strangers.
        return _answer(503, "The database does not answer", wait=_RETRY_AFTER_AWAY)
    except TimeoutError:
        return _answer(408, "The body did not come in time")
    except ClientDisconnect:
        return Response(status_code=400)


async def _body(request: Request) -> bytes:
    body = bytearray()
    size = 0
    async with asyncio.timeout(_SECONDS_FOR_BODY):
        async for chunk in request.stream():
            size += len(chunk)
            if size <= MAX_BODY:
                body += chunk
            elif size > _DRAINED:
                raise _too_large()
    # Who is cut off while sending sees a broken connection instead of the answer.
    if size > MAX_BODY:
        raise _too_large()
    return bytes(body)


def _too_large() -> RefusedError:
    return RefusedError(f"A body has at most {MAX_BODY} bytes", status=413)


def _answer(status: int, error: str, *, index: int | None = None, wait: int = 0) -> Response:
    content: dict[str, object] = {"error": error}
    if index is not None:
        content["index"] = index
    headers = {"retry-after": str(wait)} if wait else {}
    if status in (408, 413):
        headers["connection"] = "close"  # the rest of the body is not read
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")
