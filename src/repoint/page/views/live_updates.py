"""Progress of a job while it runs, as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from repoint.page.i18n.translation import Translation
from repoint.page.jobs import Jobs
from repoint.page.views.pages import job_text
from repoint.page.views.request_context import context_of

_INTERVAL = 0.1
"""Seconds between two updates."""


async def progress(request: Request) -> Response:
    """Stream the progress of a product's job until it ends."""
    context = await run_in_threadpool(context_of, request)
    product = await run_in_threadpool(lambda: context.product)
    return StreamingResponse(
        _events(context.app.jobs, product, context.translate), media_type="text/event-stream"
    )


async def _events(jobs: Jobs, product: str, translate: Translation) -> AsyncIterator[str]:
    previous = ""
    job = jobs.latest(product)
    while job is not None and job.running:
        percent = round(job.progress * 100) if job.kind == "install" else None
        data = json.dumps({"percent": percent, "text": str(job_text(translate, job).unescape())})
        if data != previous:
            yield f"data: {data}\n\n"
            previous = data
        await asyncio.sleep(_INTERVAL)
    yield "event: end\ndata: {}\n\n"
