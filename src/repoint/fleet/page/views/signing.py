"""Signing in and out."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from repoint.fleet.page.auth.errors import AccountError, ProviderError
from repoint.fleet.page.auth.known_browsers import REMEMBERED, Browser
from repoint.fleet.page.auth.sign_in import PENDING_SECONDS
from repoint.fleet.page.state import PageState
from repoint.fleet.page.views.context import Context, translation_of
from repoint.page.auth.errors import (
    RequestRefusedError,
    TooManyAttemptsError,
    WrongPasscodeError,
)
from repoint.page.auth.sessions import LIFETIME, Secrets
from repoint.page.views.forms import read_form
from repoint.page.views.rendering import Renderer

SIGN_IN = "/sign-in"
_LONGEST_NAME = 64


async def show_sign_in(request: Request) -> Response:
    """Show the page for signing in."""
    return await run_in_threadpool(lambda: _page(request))


async def sign_in(request: Request) -> Response:
    """Sign in with a local account."""
    page: PageState = request.app.state.page
    form = await read_form(request)
    name, password = form.get("name", "").strip()[:_LONGEST_NAME], form.get("password", "")

    address = page.address
    browser = Browser(
        request.client.host if request.client else "",
        request.cookies.get(address.browser_cookie, ""),
    )

    def respond() -> Response:
        if not name or not password:
            return _page(request, 422, name=name, error="empty")
        try:
            account = page.sign_in.require(name, password, browser)
        except WrongPasscodeError as error:
            return _page(request, 403, name=name, error="wrong", wait=error.wait)
        except TooManyAttemptsError as error:
            response = _page(request, 429, name=name, error="wait", wait=error.wait)
            response.headers["Retry-After"] = str(error.wait)
            return response
        begun = page.sessions.begin(account.name, account.role, "account", proof=account.proof)
        response = _entered(request, begun, form.get("next", ""))
        response.set_cookie(
            address.browser_cookie, page.sign_in.remember(browser, account), max_age=REMEMBERED,
            path="/" if address.secure else SIGN_IN, secure=address.secure, httponly=True,
            samesite="strict",
        )  # fmt: skip
        return response

    return await run_in_threadpool(respond)


def sign_out(context: Context) -> Response:
    """End the session."""
    context.page.sessions.end(context.secret)
    response = RedirectResponse(SIGN_IN, 303)
    address = context.page.address
    response.delete_cookie(
        address.cookie,
        path=address.cookie_path(context.secret.key),
        secure=address.secure,
        httponly=True,
        samesite="strict",
    )
    return response


async def start_at_provider(request: Request) -> Response:
    """Lead the person to the OpenID provider."""
    page: PageState = request.app.state.page
    provider = page.provider
    if provider is None:
        raise RequestRefusedError("missing", 404)

    def respond() -> Response:
        try:
            address, pending = provider.start()
        except ProviderError as error:
            return _page(request, 503, error="provider", text=str(error))
        response = RedirectResponse(address, 303)
        # Lax, because the provider leads the browser back, which is a request of another site.
        response.set_cookie(
            _pending_cookie(page), page.pending.add(pending), max_age=PENDING_SECONDS,
            path="/" if page.address.secure else "/oidc/", secure=page.address.secure,
            httponly=True, samesite="lax",
        )  # fmt: skip
        return response

    return await run_in_threadpool(respond)


async def back_from_provider(request: Request) -> Response:
    """Begin a session for the person whom the provider leads back."""
    page: PageState = request.app.state.page
    provider = page.provider
    if provider is None:
        raise RequestRefusedError("missing", 404)

    def respond() -> Response:
        query = request.query_params
        pending = page.pending.take(
            query.get("state", ""), request.cookies.get(_pending_cookie(page), "")
        )
        # Some providers send no state with an error.
        if "error" in query:
            return _page(request, 403, error="refused")
        if pending is None or "code" not in query:
            return _page(request, 403, error="again")
        try:
            person = provider.finish(pending, query["code"])
        except ProviderError as error:
            return _page(request, 403, error="provider", text=str(error))
        begun = page.sessions.begin(person.name, person.role, "provider", subject=person.subject)
        return _entered(request, begun)

    return await run_in_threadpool(respond)


def needs_sign_in(request: Request) -> Response:
    """Answer a request that belongs to no session."""
    page: PageState = request.app.state.page
    if request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
        # The browser holds the cookie back from what another site began; the next request has it.
        return _opening(request, request.url.path)
    if request.method == "GET" and page.address.secure and request.url.path != "/":
        return RedirectResponse(f"{SIGN_IN}?next={request.url.path}", 303)
    return RedirectResponse(SIGN_IN, 303)


def _page(
    request: Request, status: int = 200, *, name: str = "", error: str = "", wait: int = 0,
    text: str = "",
) -> Response:  # fmt: skip
    page: PageState = request.app.state.page
    translate = translation_of(request)
    renderer: Renderer = request.app.state.renderer
    try:
        has_accounts = bool(page.accounts.all())
    except AccountError as problem:
        has_accounts, error, text = False, "provider", str(problem)
    return renderer.page(
        "sign_in.html", translate, status, name=name, error=error, wait=wait, text=text,
        has_accounts=has_accounts, next=_own_path(page, request.query_params.get("next", "")),
        provider=page.provider.name if page.provider is not None else "",
    )  # fmt: skip


def _entered(request: Request, begun: Secrets, following: str = "") -> Response:
    page: PageState = request.app.state.page
    address = page.address
    # Over HTTPS, the cookie alone is the session: see `Address.home`.
    home = _own_path(page, following) or address.home(begun.key)
    response: Response = RedirectResponse(home, 303)
    if request.headers.get("sec-fetch-site") == "cross-site":
        # A redirect continues what another site began, and would not carry the cookie.
        response = _opening(request, home)
    response.set_cookie(
        address.cookie, begun.cookie, max_age=LIFETIME, path=address.cookie_path(begun.key),
        secure=address.secure, httponly=True, samesite="strict",
    )  # fmt: skip
    return response


def _opening(request: Request, path: str) -> Response:
    renderer: Renderer = request.app.state.renderer
    return renderer.page("opening.html", translation_of(request), home=path)


def _own_path(page: PageState, path: str) -> str:
    """Return a path of this page; empty for anything else."""
    fine = page.address.secure and path.startswith("/product/") and len(path) < 200
    return path if fine and path.isprintable() and "\\" not in path else ""


def _pending_cookie(page: PageState) -> str:
    prefix = "__Host-" if page.address.secure else ""
    return f"{prefix}repoint-sign-in"
