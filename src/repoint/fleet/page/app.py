"""The page's routes: which address is handled by which view, and how errors are shown."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from repoint.fleet.page.audit import Action
from repoint.fleet.page.auth.address import home_of
from repoint.fleet.page.auth.request_checks import RequestChecks
from repoint.fleet.page.state import PageState
from repoint.fleet.page.views import changes, fleet, signing
from repoint.fleet.page.views.context import (
    ENDPOINTS,
    TooManyRequestsError,
    translation_of,
)
from repoint.model.errors import RepointError
from repoint.page.auth.errors import RequestRefusedError
from repoint.page.auth.sessions import LIFETIME
from repoint.page.views.endpoints import asset
from repoint.page.views.rendering import FOLDER, Renderer


def create_renderer() -> Renderer:
    """Return what renders the pages."""
    return Renderer(lifetime=LIFETIME, folders=(Path(fleet.__file__).parent, FOLDER))


def create_app(page: PageState, renderer: Renderer | None = None) -> ASGIApp:
    """Return the application that serves the page."""
    base = "" if page.address.secure else home_of("{key}").removesuffix("/")
    product = f"{base}/product/{{product}}"
    actions: tuple[Action, ...] = get_args(Action)
    pages = [
        Route(f"{base}/", ENDPOINTS.view(fleet.products)),
        Route(f"{base}/find", ENDPOINTS.view(fleet.find)),
        Route(f"{base}/audit", ENDPOINTS.view(fleet.audit)),
        Route(f"{base}/sign-out", ENDPOINTS.form(signing.sign_out), methods=["POST"]),
        Route(f"{product}/", ENDPOINTS.view(fleet.product)),
        *(Route(f"{product}/{name}", ENDPOINTS.view(changes.sheet_view(name))) for name in actions),
        *(
            Route(f"{product}/{name}", ENDPOINTS.form(changes.change_view(name)), methods=["POST"])
            for name in actions
        ),
    ]
    app = Starlette(
        routes=[
            Route(signing.SIGN_IN, signing.show_sign_in),
            Route(signing.SIGN_IN, signing.sign_in, methods=["POST"]),
            Route("/oidc/start", signing.start_at_provider),
            Route("/oidc/callback", signing.back_from_provider),
            Route("/assets/{name}", asset),
            Route("/closed", closed),
            *pages,
            *([] if page.address.secure else [Route("/", closed)]),
        ],
        exception_handlers={
            RequestRefusedError: _refused,
            TooManyRequestsError: _too_many,
            RepointError: _failed,
            404: _not_found,
            405: _not_found,
            Exception: _crashed,
        },
    )
    app.state.page = page
    app.state.renderer = renderer or create_renderer()
    return RequestChecks(app, page.address)


async def closed(_: Request) -> Response:
    """Lead to the page for signing in."""
    return RedirectResponse(signing.SIGN_IN, 303)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestRefusedError)  # noqa: S101  # by its registration
    if error.key == "session":
        return signing.needs_sign_in(request)
    return _error_page(request, error.key, error.status)


def _too_many(request: Request, error: Exception) -> Response:
    assert isinstance(error, TooManyRequestsError)  # noqa: S101  # by its registration
    response = _error_page(request, "too many", 429)
    response.headers["Retry-After"] = str(error.wait)
    return response


def _not_found(request: Request, _: Exception) -> Response:
    return _error_page(request, "missing", 404)


def _crashed(request: Request, _: Exception) -> Response:
    return _error_page(request, "failed", 500)


def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RepointError)  # noqa: S101  # by its registration
    return _error_page(request, "away", 503, str(error))


def _error_page(request: Request, key: str, status: int, details: str = "") -> Response:
    translate = translation_of(request)
    renderer: Renderer = request.app.state.renderer
    passes = status >= 500 or status == 429
    again = request.url.path if passes and request.method == "GET" else ""
    return renderer.page(
        "problem.html", translate, status, heading=translate(f"problem.{key}.title"),
        text=translate(f"problem.{key}.text"), details=details, again=again,
    )  # fmt: skip
