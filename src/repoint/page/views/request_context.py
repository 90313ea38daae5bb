"""One request in a session, with everything that a view needs to answer it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from repoint.page.app_state import AppState
from repoint.page.auth.errors import RequestRefusedError
from repoint.page.auth.request_checks import first_cookie
from repoint.page.auth.sessions import Secrets, Session, form_token
from repoint.page.i18n.translation import Translation, translation_for
from repoint.page.views.endpoints import Endpoints
from repoint.page.views.panel import Panel, read_panel
from repoint.page.views.rendering import Renderer


@dataclass(frozen=True)
class RequestContext:
    """A request in a session.

    Attributes:
        app: The state of the server.
        renderer: Renders templates.
        session: The session.
        secret: The session's secrets, from the path and the cookie.
        translate: The person's language.
        path: The parameters of the path.
        form: The fields of the form; empty for a request that changes nothing.
    """

    app: AppState
    renderer: Renderer
    session: Session
    secret: Secrets
    translate: Translation
    path: dict[str, str]
    form: dict[str, str]

    @cached_property
    def product(self) -> str:
        """The product that the path names.

        Raises:
            RequestRefusedError: It is not enrolled.
        """
        name = self.path["product"]
        if name not in self.products():
            raise RequestRefusedError("missing", 404)
        return name

    @property
    def home(self) -> str:
        """The path of the session's first page."""
        return home_of(self.secret.key)

    def path_of(self, product: str) -> str:
        """Return the path of a product's panel."""
        return f"{self.home}product/{product}/"

    @property
    def may_change(self) -> bool:
        """True if this account may change anything."""
        return self.app.may_change(self.session.uid)

    def products(self) -> list[str]:
        """Return the names of the enrolled products."""
        return [product.name for product in self.app.device().store.enrolled()]

    def panel(self) -> Panel:
        """Read the panel of the product that the path names."""
        return self.panel_of(self.product)

    def panel_of(self, product: str) -> Panel:
        """Read the panel of a product."""
        return read_panel(self.app.device(), product, now=self.app.clock())

    def page(self, template: str, status: int = 200, **variables: object) -> Response:
        """Render a page of this session."""
        return self.renderer.page(
            template,
            self.translate,
            status,
            form_token=form_token(self.secret),
            home=self.home,
            **variables,
        )

    def redirect_to_panel(self) -> Response:
        """Redirect to the panel of the product that the path names."""
        return RedirectResponse(self.path_of(self.product), 303)


def context_of(request: Request, form: dict[str, str] | None = None) -> RequestContext:
    """Return the context of a request.

    Raises:
        RequestRefusedError: The request belongs to no session.
    """
    app: AppState = request.app.state.app_state
    secret = Secrets(request.path_params["key"], first_cookie(request.headers, app.cookie))
    session = app.sessions.find(secret)
    # A session is valid only for its own account, and for root, which can act as any account.
    if session is None or request.state.uid not in (session.uid, 0):
        raise RequestRefusedError("session")
    translate = translation_for(request.headers.get("accept-language", ""))
    renderer: Renderer = request.app.state.renderer
    return RequestContext(
        app, renderer, session, secret, translate, dict(request.path_params), form or {}
    )


def home_of(key: str) -> str:
    """Return the path of the first page of the session with a key. It also limits the cookie."""
    return f"/s/{key}/"


def require_same_account(request: Request) -> None:
    """Return if the account that sent a request is still there, at the moment of acting on it.

    Raises:
        RequestRefusedError: It has closed the connection.
    """
    if request.state.connection.uid() != request.state.uid:
        raise RequestRefusedError("forged")


def turn_of(request: Request) -> AbstractAsyncContextManager[None]:
    """Wait for the turn of the account that sent a request."""
    app: AppState = request.app.state.app_state
    return app.turns.turn(request.state.uid)


ENDPOINTS = Endpoints(context_of, require_same_account, turn_of)
"""Makes endpoints of the views of this page."""
