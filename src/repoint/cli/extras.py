"""The extras of the package, for commands that need more than a device does."""

from __future__ import annotations

import importlib.util
from typing import Literal

from repoint.model.errors import RepointError

Extra = Literal["page", "vendor"]

_PAGE_MODULE = "jinja2"
"""Only the extra ``page`` brings it; the page's own process imports it, the command does not."""

_VENDOR_MODULE = "tomli_w"
"""Only the extra ``vendor`` brings it; msgspec imports it to write a repository's settings."""


class MissingExtraError(RepointError):
    """A command needs an extra that is not installed."""


def missing_extra(command: str, extra: Extra, module: str) -> MissingExtraError:
    """Return the error for a command whose extra is not installed.

    Args:
        command: The command, such as ``repoint settings``.
        extra: The extra that it needs.
        module: The module that could not be imported.
    """
    return MissingExtraError(
        f"`{command}` needs the extra {extra}, which is not installed (no module {module})",
        hint=f"Run `pip install 'repoint[{extra}]'`",
    )


def require_page(command: str) -> None:
    """Check that the Settings page can run.

    Raises:
        MissingExtraError: The extra ``page`` is not installed.
    """
    if importlib.util.find_spec(_PAGE_MODULE) is None:
        raise missing_extra(command, "page", _PAGE_MODULE)


def require_vendor(command: str) -> None:
    """Check that a repository can be created and changed.

    Raises:
        MissingExtraError: The extra ``vendor`` is not installed.
    """
    if importlib.util.find_spec(_VENDOR_MODULE) is None:
        raise missing_extra(command, "vendor", _VENDOR_MODULE)
