"""One request of somebody who may look, with all that answering it takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from repoint.page.app_state import AppState
from repoint.page.auth.sessions import Session, is_token, token
from repoint.page.i18n.words import Words, words_for
from repoint.page.views.panel import Panel, look
from repoint.page.views.rendering import Renderer

_LARGEST_FORM = 16 << 10
_FORM = "application/x-www-form-urlencoded"


class Refused(Exception):  # noqa: N818  # it is an answer, not a fault
    """The request is refused; ``key`` names the text that says why."""

    def __init__(self, key: str, status: int = 403) -> None:
        super().__init__(key)
        self.key = key
        self.status = status


@dataclass(frozen=True)
class RequestContext:
    """A request in a session.

    Attributes:
        site: The site.
        session: The session.
        secret: Its secret, from the cookie.
        words: The person's language.
        path: Values of the path's parts.
        form: What a form carries; empty where nothing is changed.
    """

    site: AppState
    renderer: Renderer
    session: Session
    secret: str
    words: Words
    path: dict[str, str]
    form: dict[str, str]

    @cached_property
    def product(self) -> str:
        """The product that the path names.

        Raises:
            Refused: It is not enrolled.
        """
        name = self.path["product"]
        if name not in self.products():
            raise Refused("missing", 404)
        return name

    def products(self) -> list[str]:
        """The products that are enrolled."""
        return [product.name for product in self.site.device().store.enrolled()]

    def look(self) -> Panel:
        """Look at the product that the path names."""
        return self.look_at(self.product)

    def look_at(self, product: str) -> Panel:
        """Look at a product."""
        return look(self.site.device(), product, now=self.site.clock())

    def page(self, template: str, status: int = 200, **context: object) -> Response:
        """A page of this session."""
        return self.renderer.page(
            template, self.words, status, form_token=token(self.secret), **context
        )

    def back(self, product: str) -> Response:
        """To the panel of a product, by a new request."""
        return RedirectResponse(f"/product/{product}/", 303)


Look = Callable[[RequestContext], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


def looking(look: Look) -> Endpoint:
    """An endpoint that only looks."""

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(lambda: look(visit_of(request)))

    return endpoint


def changing(change: Look) -> Endpoint:
    """An endpoint that changes something: the form must carry the session's token."""

    async def endpoint(request: Request) -> Response:
        form = await _form(request)

        def answer() -> Response:
            visit = visit_of(request, form)
            if not is_token(visit.secret, form.get("token", "")):
                raise Refused("forged")
            return change(visit)

        return await run_in_threadpool(answer)

    return endpoint


def visit_of(request: Request, form: dict[str, str] | None = None) -> RequestContext:
    """The visit that a request is part of.

    Raises:
        Refused: It belongs to no session.
    """
    site: AppState = request.app.state.site
    secret = request.cookies.get(site.cookie, "")
    session = site.sessions.find(secret) if secret else None
    # A cookie may reach programs of other accounts that listen at this address, so a session
    # counts only together with the account that it belongs to. Root may become anybody anyway.
    if session is None or request.state.uid not in (session.uid, 0):
        raise Refused("session")
    words = words_for(request.headers.get("accept-language", ""))
    renderer: Renderer = request.app.state.renderer
    return RequestContext(
        site, renderer, session, secret, words, dict(request.path_params), form or {}
    )


async def _form(request: Request) -> dict[str, str]:
    if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM:
        raise Refused("forged", 415)
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _LARGEST_FORM:
            raise Refused("large", 413)
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise Refused("forged", 400) from error
    return {name: values[0] for name, values in fields.items()}
