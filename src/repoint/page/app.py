"""The page's addresses, and what answers at each."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from repoint.model.errors import RepointError
from repoint.page.app_state import HOST, AppState
from repoint.page.auth.sessions import SECONDS
from repoint.page.defence import Defence
from repoint.page.i18n.words import words_for
from repoint.page.idle_timeout import Idle
from repoint.page.live_updates import progress
from repoint.page.request_context import Refused, changing, looking
from repoint.page.views import changes, pages, sheets
from repoint.page.views.rendering import Renderer


def page_app(site: AppState) -> ASGIApp:
    """The application that serves a site's page."""
    product = "/product/{product}"
    app = Starlette(
        routes=[
            Route("/open/{secret}", enter),
            Route("/assets/{name}", asset),
            Route("/", looking(pages.products)),
            Route(f"{product}/", looking(pages.panel)),
            Route(f"{product}/history", looking(pages.history)),
            Route(f"{product}/progress", progress),
            *(
                Route(f"{product}/{name}", looking(getattr(sheets, name)))
                for name in ("automatic", "install", "restart", "remove")
            ),
            *(
                Route(f"{product}/{name}", changing(getattr(changes, name)), methods=["POST"])
                for name in
                ("automatic", "install", "restart", "remove", "check", "stop", "dismiss")
            ),
        ],
        exception_handlers={
            Refused: _refused,
            RepointError: _failed,
            404: _missing,
            405: _missing,
            Exception: _broken,
        },
    )  # fmt: skip
    app.state.site = site
    app.state.renderer = Renderer()
    return _Counted(Defence(app, (HOST, site.port)), site.idle)


async def enter(request: Request) -> Response:
    """Begin a session by a one-time link."""
    site: AppState = request.app.state.site
    secret = request.path_params["secret"]
    uid = site.links.owner(secret)
    # Whoever else may have read the link from the list of processes does not use it up.
    if uid is None or request.state.uid not in (uid, 0):
        raise Refused("link")
    site.links.use_up(secret)
    session = await run_in_threadpool(site.sessions.begin, uid)
    answer = RedirectResponse("/", 303)
    answer.set_cookie(
        site.cookie, session, max_age=SECONDS, path="/", httponly=True, samesite="strict"
    )
    return answer


async def asset(request: Request) -> Response:
    """A file that pages refer to. It is no secret, so no session is asked for."""
    renderer: Renderer = request.app.state.renderer
    found = renderer.asset(request.path_params["name"])
    if found is None:
        raise Refused("missing", 404)
    return found


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101  # it is registered for nothing else
    return _closed(request, error.key, error.status)


def _missing(request: Request, _: Exception) -> Response:
    return _closed(request, "missing", 404)


def _broken(request: Request, _: Exception) -> Response:
    return _closed(request, "failed", 500)


def _failed(request: Request, error: Exception) -> Response:
    words = words_for(request.headers.get("accept-language", ""))
    assert isinstance(error, RepointError)  # noqa: S101  # it is registered for nothing else
    renderer: Renderer = request.app.state.renderer
    return renderer.page(
        "refused.html", words, 503, heading=words("error.title"),
        text=pages.error_text(words, error), command="",
    )  # fmt: skip


def _closed(request: Request, key: str, status: int) -> Response:
    site: AppState = request.app.state.site
    renderer: Renderer = request.app.state.renderer
    words = words_for(request.headers.get("accept-language", ""))
    opens = key in ("link", "session")
    text = "passcode.administrator" if key == "administrator" else f"refused.{key}"
    return renderer.page(
        "refused.html", words, status,
        heading=words("refused.title") if opens else words("error.title"),
        text=words(text), command=site.command if opens else "",
    )  # fmt: skip


class _Counted:
    """Tells the clock of the idle server that somebody uses it."""

    def __init__(self, app: ASGIApp, idle: Idle) -> None:
        self._app = app
        self._idle = idle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._idle.begin()
        try:
            await self._app(scope, receive, send)
        finally:
            self._idle.end()
