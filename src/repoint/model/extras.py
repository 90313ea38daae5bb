"""The extras of the package, for what needs more than a device does."""

from __future__ import annotations

import importlib.util
from typing import Literal

from repoint.model.errors import RepointError

Extra = Literal["fleet", "page", "vendor"]

_PAGE_MODULE = "argon2"
"""Only the extra ``page`` brings it; the page's own process imports it, the command does not."""

_VENDOR_MODULE = "tomli_w"
"""Only the extra ``vendor`` brings it; msgspec imports it to write a repository's settings."""


class MissingExtraError(RepointError):
    """A command or a class needs an extra that is not installed.

    Attributes:
        extra: The extra.
        module: The module that could not be imported.
    """

    def __init__(self, message: str, *, hint: str, extra: Extra, module: str) -> None:
        super().__init__(message, hint=hint)
        self.extra = extra
        self.module = module


def missing_extra(subject: str, extra: Extra, module: str) -> MissingExtraError:
    """Return the error for a command or a class whose extra is not installed.

    Args:
        subject: The command, such as ``repoint settings``, or the public name of the class.
        extra: The extra that it needs.
        module: The module that could not be imported.
    """
    return MissingExtraError(
        f"`{subject}` needs the extra {extra}, which is not installed (no module {module})",
        hint=f"Run `pip install 'repoint[{extra}]'`",
        extra=extra,
        module=module,
    )


def require_page(command: str) -> None:
    """Check that the Settings page can run.

    Raises:
        MissingExtraError: The extra ``page`` is not installed.
    """
    if importlib.util.find_spec(_PAGE_MODULE) is None:
        raise missing_extra(command, "page", _PAGE_MODULE)


def require_vendor(subject: str) -> None:
    """Check that a repository can be created and changed.

    Raises:
        MissingExtraError: The extra ``vendor`` is not installed.
    """
    if importlib.util.find_spec(_VENDOR_MODULE) is None:
        raise missing_extra(subject, "vendor", _VENDOR_MODULE)
