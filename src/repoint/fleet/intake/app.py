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
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from repoint.fleet.intake.group_commit import BusyError, GroupCommit
from repoint.fleet.intake.limits import AddressLimits
from repoint.fleet.intake.parsing import MAX_BODY, RefusedError, read_ids, read_reports
from repoint.fleet.stores.errors import (
    DatabaseAwayError,
    TooManyDeletionsError,
    TooManyNamesError,
)
from repoint.fleet.stores.state import SqlState

_SECONDS_FOR_BODY: Final = 20.0
_DRAINED: Final = 16 * 1024 * 1024
"""Bytes of a body that are read; those above `MAX_BODY` are thrown away."""
_RETRY_AFTER_BUSY: Final = 30
_RETRY_AFTER_AWAY: Final = 60
_RETRY_AFTER_FULL: Final = 3600
_FORGETTING: Final = 8
"""Deletions at once. Each locks the database for a moment, and reports have to go on."""
_SAID_AGAIN: Final = 3600.0
"""Seconds after which the journal may say again what strangers can cause."""


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
        limits: The reports, and the ids to forget, that an address may send.
        names: The names that no signed document names, which an address may bring in.
        products: The products whose reports are taken; None for all.
        notify: Called with what the operator should know.
        clock: The time, in seconds since 1970.
    """

    state: SqlState
    writer: GroupCommit
    limits: AddressLimits
    names: AddressLimits
    products: Callable[[], frozenset[str] | None]
    notify: Callable[[str], None]
    clock: Callable[[], float] = time.time
    counts: Counts = field(default_factory=Counts)
    _said: float | None = None
    _forgetting: int = 0

    async def take(self, request: _Request) -> _Answer:
        """Answer ``POST /v1/reports``."""
        self._limit(request, 1)
        reports = read_reports(await request.body(), self.products())
        if len(reports) > 1:
            self._limit(request, len(reports) - 1)
        new = self.state.unsigned_names(reports)
        if new and (wait := self.names.wait(request.address, new, time.monotonic())):
            raise _LaterError("Too many new names from this address", 429, wait)
        await self.writer.add(reports)
        self.counts.reports.update(report.kind for report in reports)
        return _Answer(202)

    async def forget(self, request: _Request) -> _Answer:
        """Answer ``DELETE /v1/reports``."""
        self._limit(request, 1)
        ids = read_ids(await request.body())
        if len(ids) > 1:
            self._limit(request, len(ids) - 1)
        if self._forgetting >= _FORGETTING:
            raise BusyError("More deletions come than the database takes")
        self._forgetting += 1
        try:
            await asyncio.to_thread(self.state.forget, ids, int(self.clock()))
        finally:
            self._forgetting -= 1
        self.counts.forgotten += len(ids)
        return _Answer(202)

    def note_full(self, error: TooManyNamesError) -> None:
        """Say that there is no room for names: once, as strangers decide how often it happens."""
        now = time.monotonic()
        if self._said is None or now - self._said >= _SAID_AGAIN:
            self._said = now
            self.notify(f"Reports with new letters have to wait. {error}")

    def _limit(self, request: _Request, reports: int) -> None:
        wait = self.limits.wait(request.address, reports, time.monotonic())
        if wait:
            raise _LaterError("Too many reports from this address", 429, wait)


class _LaterError(Exception):
    def __init__(self, message: str, status: int, wait: int) -> None:
        super().__init__(message)
        self.status = status
        self.wait = wait


class _Answer(NamedTuple):
    status: int
    error: str = ""
    report: int | None = None
    wait: int = 0

    async def send(self, send: Send) -> None:
        body = b""
        headers = []
        if self.error:
            content: dict[str, object] = {"error": self.error}
            if self.report is not None:
                content["index"] = self.report
            body = msgspec.json.encode(content)
            headers.append((b"content-type", b"application/json"))
        headers.append((b"content-length", str(len(body)).encode()))
        if self.wait:
            headers.append((b"retry-after", str(self.wait).encode()))
        if self.status in (408, 413):
            headers.append((b"connection", b"close"))  # the rest of the body is not read
        if self.status == 405:
            headers.append((b"allow", b"POST, DELETE"))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class _GoneError(Exception):
    """The peer has closed the connection."""


class _Request(NamedTuple):
    address: str
    receive: Receive

    async def body(self) -> bytes:
        body = b""
        size = 0
        async with asyncio.timeout(_SECONDS_FOR_BODY):
            while True:
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise _GoneError
                chunk: bytes = message.get("body", b"")
                size += len(chunk)
                if size <= MAX_BODY:
                    body += chunk
                elif size > _DRAINED:
                    raise _too_large()
                if not message.get("more_body", False):
                    break
        # Who is cut off while sending sees a broken connection instead of the answer.
        if size > MAX_BODY:
            raise _too_large()
        return body


def create_app(intake: Intake) -> ASGIApp:
    """Return the application that devices talk to.

    It does without a framework: its two requests are all that a collector of ten million devices
    does all day, and routing takes longer than reading a report.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        answer = await _answered(intake, scope, receive)
        intake.counts.answers[answer.status] += 1
        await answer.send(send)
        intake.counts.seconds += time.perf_counter() - started

    return app


async def _answered(intake: Intake, scope: Scope, receive: Receive) -> _Answer:
    if scope["path"] != "/v1/reports":
        return _Answer(404, "There is nothing here")
    handle = {"POST": intake.take, "DELETE": intake.forget}.get(scope["method"])
    if handle is None:
        return _Answer(405, "Send reports with POST, and ids to forget with DELETE")
    client = scope.get("client")
    try:
        return await handle(_Request(client[0] if client else "", receive))
    except RefusedError as error:
        return _Answer(error.status, error.message, report=error.index)
    except TooManyNamesError as error:
        intake.note_full(error)
        return _Answer(503, error.message, report=error.index, wait=_RETRY_AFTER_FULL)
    except _LaterError as error:
        return _Answer(error.status, str(error), wait=error.wait)
    except (BusyError, TooManyDeletionsError) as error:
        return _Answer(503, error.message, wait=_RETRY_AFTER_BUSY)
    except DatabaseAwayError:
        # The cause is for the operator's journal, not for strangers.
        return _Answer(503, "The database does not answer", wait=_RETRY_AFTER_AWAY)
    except TimeoutError:
        return _Answer(408, "The body did not come in time")
    except _GoneError:
        return _Answer(400, "The connection was closed")


def _too_large() -> RefusedError:
    return RefusedError(f"A body has at most {MAX_BODY} bytes", status=413)
