"""Progress while it happens, as server-sent events (WHATWG HTML, 9.2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from repoint.page.i18n.words import Words
from repoint.page.jobs import Jobs
from repoint.page.request_context import visit_of
from repoint.page.views.pages import text_of

_EVERY = 0.1
"""Seconds between two looks."""


async def progress(request: Request) -> Response:
    """Tell how far the job of a product is until it is over."""
    visit = await run_in_threadpool(visit_of, request)
    product = await run_in_threadpool(lambda: visit.product)
    return StreamingResponse(
        _events(visit.site.jobs, product, visit.words), media_type="text/event-stream"
    )


async def _events(jobs: Jobs, product: str, words: Words) -> AsyncIterator[str]:
    told = ""
    job = jobs.of(product)
    while job is not None and job.running:
        percent = round(job.share * 100) if job.kind == "install" else None
        now = json.dumps({"percent": percent, "text": str(text_of(words, job).unescape())})
        if now != told:
            yield f"data: {now}\n\n"
            told = now
        await asyncio.sleep(_EVERY)
    yield "event: end\ndata: {}\n\n"
