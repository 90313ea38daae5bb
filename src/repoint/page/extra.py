"""The extra ``page``: the packages that only the Settings page needs."""

from __future__ import annotations

import importlib.util

from repoint.page.auth.errors import PageNotOpenedError

_MODULES = ("argon2", "babel", "jinja2", "markupsafe", "pam", "starlette", "uvicorn")


def require_extra() -> None:
    """Check that the packages of the page are installed, without importing them.

    Raises:
        PageNotOpenedError: One is missing.
    """
    missing = [name for name in _MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise PageNotOpenedError(
            f"The Settings page is not installed: {', '.join(missing)} cannot be imported",
            hint="Run: pip install 'repoint[page]'",
        )
