"""One request in a session, with everything that a view needs to answer it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from starlette.requests import Request
from starlette.responses import Response

from repoint.fleet.page.audit import AuditError, Entry
from repoint.fleet.page.auth.sessions import Session
from repoint.fleet.page.changes import with_guard
from repoint.fleet.page.i18n import CATALOGUE
from repoint.fleet.page.state import PageState
from repoint.fleet.page.vendor import Published
from repoint.page.auth.errors import RequestRefusedError
from repoint.page.auth.request_checks import first_cookie
from repoint.page.auth.sessions import Secrets, form_token
from repoint.page.i18n.translation import Translation, translation_for
from repoint.page.views.endpoints import Endpoints
from repoint.page.views.rendering import Renderer
from repoint.repository.errors import RepositoryError

_NOTHING = Published((), {}, {})


class TooManyRequestsError(Exception):
    """A person sends more requests than a person does. ``wait``: seconds left to wait."""

    def __init__(self, wait: int) -> None:
        super().__init__(wait)
        self.wait = wait


@dataclass(frozen=True)
class Context:
    """A request in a session.

    Attributes:
        page: The state of the server.
        renderer: Renders templates.
        session: The session.
        secret: The session's secrets.
        translate: The person's language.
        path: The parameters of the path.
        query: The parameters after the path.
        form: The fields of the form; empty for a request that changes nothing.
    """

    page: PageState
    renderer: Renderer
    session: Session
    secret: Secrets
    translate: Translation
    path: dict[str, str]
    query: dict[str, str]
    form: dict[str, str]

    @cached_property
    def now(self) -> int:
        """Seconds since 1970, the same for the whole request."""
        return self.page.now()

    @cached_property
    def products(self) -> list[str]:
        """The products, in order."""
        return self.page.products()

    @cached_property
    def product(self) -> str:
        """The product that the path names.

        Raises:
            RequestRefusedError: There is no such product.
        """
        name = self.path["product"]
        if name not in self.products:
            raise RequestRefusedError("missing", 404)
        return name

    def published(self, product: str) -> tuple[Published, RepositoryError | None]:
        """Return what is published for a product, and why that is not known.

        Nothing is published without a repository, or if it cannot be read.
        """
        if self.page.vendor is None:
            return _NOTHING, None
        try:
            return self.page.vendor.published(product), None
        except RepositoryError as error:
            return _NOTHING, error

    def changes(self, products: Sequence[str]) -> tuple[list[Entry], AuditError | None]:
        """Return who changed the rollouts of products, newest first, and what is not known.

        If the audit log cannot be read, only the changes by the guard are known.
        """
        entries, problem = [], None
        try:
            entries = self.page.audit.entries(products[0] if len(products) == 1 else None)
        except AuditError as error:
            problem = error
        return with_guard(entries, {name: self.published(name)[0] for name in products}), problem

    @property
    def home(self) -> str:
        """The path of the session's first page."""
        return self.page.address.home(self.secret.key)

    def path_of(self, product: str) -> str:
        """Return the path of a product's page."""
        return f"{self.home}product/{product}/"

    def show(self, template: str, status: int = 200, **variables: object) -> Response:
        """Render a page of this session."""
        return self.renderer.page(
            template,
            self.translate,
            status,
            form_token=form_token(self.secret),
            home=self.home,
            session=self.session,
            now=self.now,
            **variables,
        )


def secrets_of(request: Request) -> Secrets:
    """Return the secrets that a request carries; they may belong to no session."""
    page: PageState = request.app.state.page
    key = "" if page.address.secure else request.path_params.get("key", "")
    return Secrets(key, first_cookie(request.headers, page.address.cookie))


def translation_of(request: Request) -> Translation:
    """Return the language of the person who sent a request."""
    return translation_for(request.headers.get("accept-language", ""), CATALOGUE)


def _context(request: Request, form: dict[str, str]) -> Context:
    page: PageState = request.app.state.page
    secret = secrets_of(request)
    session = page.sessions.find(secret)
    if session is None:
        raise RequestRefusedError("session")
    wait = page.budget.wait(session.person, time.monotonic())
    if wait:
        raise TooManyRequestsError(wait)
    return Context(
        page,
        request.app.state.renderer,
        session,
        secret,
        translation_of(request),
        dict(request.path_params),
        dict(request.query_params),
        form,
    )


View = Callable[[Context], Response]

ENDPOINTS = Endpoints(_context)
"""Makes endpoints of the views of this page."""
