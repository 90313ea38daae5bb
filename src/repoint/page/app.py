"""The page's routes: which address is handled by which view, and how errors are shown."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from repoint.model.errors import RepointError
from repoint.page.app_state import HOST, AppState
from repoint.page.auth.errors import RequestRefusedError
from repoint.page.auth.request_checks import LINK_PATH, RequestChecks
from repoint.page.auth.sessions import LIFETIME
from repoint.page.i18n.translation import translation_for
from repoint.page.idle_timeout import IdleTimer
from repoint.page.views import changes, pages, sheets
from repoint.page.views.endpoints import asset
from repoint.page.views.live_updates import progress
from repoint.page.views.rendering import Renderer
from repoint.page.views.request_context import (
    ENDPOINTS,
    home_of,
    require_same_account,
)

_SESSION = home_of("{key}").removesuffix("/")
_PRODUCT = f"{_SESSION}/product/{{product}}"
_SHARE_OF_IDLE = 0.9
"""How much of the time until the server stops a page may be used for without another request."""

_SHEETS = {
    "automatic": sheets.automatic,
    "reports": sheets.reports,
    "install": sheets.install,
    "restart": sheets.restart,
    "remove": sheets.remove,
}
_CHANGES = {
    "automatic": changes.automatic,
    "reports": changes.reports,
    "install": changes.install,
    "restart": changes.restart,
    "remove": changes.remove,
    "check": changes.check,
    "stop": changes.stop,
    "dismiss": changes.dismiss,
}


def create_app(state: AppState, idle: float) -> ASGIApp:
    """Return the application that serves the page.

    Args:
        state: The state of the server.
        idle: Seconds without a request until the server stops.
    """
    app = Starlette(
        routes=[
            Route(f"{LINK_PATH}{{secret}}", begin_session),
            Route("/assets/{name}", asset),
            Route("/", no_session),
            Route("/closed", closed),
            Route(f"{_SESSION}/", ENDPOINTS.view(pages.products)),
            Route(f"{_PRODUCT}/", ENDPOINTS.view(pages.panel)),
            Route(f"{_PRODUCT}/icon", ENDPOINTS.view(pages.icon)),
            Route(f"{_PRODUCT}/history", ENDPOINTS.view(pages.history)),
            Route(f"{_PRODUCT}/sent", ENDPOINTS.view(pages.sent)),
            Route(f"{_PRODUCT}/progress", progress),
            *(
                Route(f"{_PRODUCT}/{name}", ENDPOINTS.view(sheet))
                for name, sheet in _SHEETS.items()
            ),
            *(
                Route(f"{_PRODUCT}/{name}", ENDPOINTS.form(change), methods=["POST"])
                for name, change in _CHANGES.items()
            ),
        ],
        exception_handlers={
            RequestRefusedError: _refused,
            RepointError: _failed,
            404: _not_found,
            405: _not_found,
            Exception: _crashed,
        },
    )
    app.state.app_state = state
    app.state.renderer = Renderer(lifetime=max(1, int(idle * _SHARE_OF_IDLE)))
    return _IdleTracking(RequestChecks(app, (HOST, state.port)), state.idle)


async def begin_session(request: Request) -> Response:
    """Begin a session by a one-time link."""
    app: AppState = request.app.state.app_state
    secret = request.path_params["secret"]
    uid = app.links.owner(secret)
    # Other accounts can read the link in the process list. Their attempt must not use it up.
    if uid is None or request.state.uid not in (uid, 0):
        raise RequestRefusedError("link")
    require_same_account(request)
    app.links.use_up(secret)
    begun = await run_in_threadpool(app.sessions.begin, uid)
    home = home_of(begun.key)
    response: Response = RedirectResponse(home, 303)
    if request.headers.get("sec-fetch-site") == "cross-site":
        # A redirect continues what another site began, and would not carry the cookie.
        renderer: Renderer = request.app.state.renderer
        translate = translation_for(request.headers.get("accept-language", ""))
        response = renderer.page("opening.html", translate, home=home)
    response.set_cookie(
        app.cookie, begun.cookie, max_age=LIFETIME, path=home, httponly=True, samesite="strict"
    )
    return response


async def no_session(_: Request) -> Response:
    """Refuse a request for the page without the key of a session."""
    raise RequestRefusedError("session")


async def closed(_: Request) -> Response:
    """Show that the page is closed. A page that is no longer used leads here."""
    raise RequestRefusedError("closed")


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestRefusedError)  # noqa: S101  # by its registration
    return _error_page(request, error.key, error.status)


def _not_found(request: Request, _: Exception) -> Response:
    return _error_page(request, "missing", 404)


def _crashed(request: Request, _: Exception) -> Response:
    return _error_page(request, "failed", 500)


def _failed(request: Request, error: Exception) -> Response:
    translate = translation_for(request.headers.get("accept-language", ""))
    assert isinstance(error, RepointError)  # noqa: S101  # by its registration
    renderer: Renderer = request.app.state.renderer
    return renderer.page(
        "refused.html", translate, 503, heading=translate("error.title"),
        text=pages.error_text(translate, error), command="",
    )  # fmt: skip


def _error_page(request: Request, key: str, status: int) -> Response:
    app: AppState = request.app.state.app_state
    renderer: Renderer = request.app.state.renderer
    translate = translation_for(request.headers.get("accept-language", ""))
    needs_link = key in ("link", "session", "closed")
    text = "passcode.administrator" if key == "administrator" else f"refused.{key}"
    return renderer.page(
        "refused.html", translate, status,
        heading=translate("refused.title") if needs_link else translate("error.title"),
        text=translate(text), command=app.command if needs_link else "",
    )  # fmt: skip


class _IdleTracking:
    """Middleware that tells the idle timer about every request."""

    def __init__(self, app: ASGIApp, idle: IdleTimer) -> None:
        self._app = app
        self._idle = idle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._idle.begin()
        try:
            await self._app(scope, receive, send)
        finally:
            self._idle.end()
