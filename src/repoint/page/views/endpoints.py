"""Endpoints of a page with sessions: views, forms that carry the session's token, and assets."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from repoint.page.auth.errors import RequestRefusedError
from repoint.page.auth.sessions import Secrets, is_form_token
from repoint.page.views.forms import read_form
from repoint.page.views.rendering import Renderer

Endpoint = Callable[[Request], Awaitable[Response]]


class InSession(Protocol):
    """A request in a session."""

    @property
    def secret(self) -> Secrets:
        """The secrets of the session."""


Context = TypeVar("Context", bound=InSession)


@dataclass(frozen=True)
class Endpoints(Generic[Context]):
    """Makes endpoints of views.

    Attributes:
        context_of: Returns the context of a request and its form; refuses one without a session.
        require: Refuses a request at the moment of acting on it; None to refuse none.
        turn: Waits until a request may be worked on, and holds its place.
    """

    context_of: Callable[[Request, dict[str, str]], Context]
    require: Callable[[Request], None] | None = None
    turn: Callable[[Request], AbstractAsyncContextManager[None]] = lambda _: (
        contextlib.nullcontext()
    )

    def view(self, view: Callable[[Context], Response]) -> Endpoint:
        """Return an endpoint for a view that changes nothing."""

        async def endpoint(request: Request) -> Response:
            async with self.turn(request):
                return await run_in_threadpool(lambda: view(self.context_of(request, {})))

        return endpoint

    def form(self, change: Callable[[Context], Response]) -> Endpoint:
        """Return an endpoint for a form, which must carry the session's token."""

        async def endpoint(request: Request) -> Response:
            form = await read_form(request)

            def respond() -> Response:
                context = self.context_of(request, form)
                if not is_form_token(context.secret, form.get("token", "")):
                    raise RequestRefusedError("forged")
                if self.require is not None:
                    self.require(request)
                return change(context)

            async with self.turn(request):
                return await run_in_threadpool(respond)

        return endpoint


async def asset(request: Request) -> Response:
    """Return a style sheet, script or icon. They are public, so no session is needed."""
    renderer: Renderer = request.app.state.renderer
    response = renderer.asset(request.path_params["name"])
    if response is None:
        raise RequestRefusedError("missing", 404)
    return response
