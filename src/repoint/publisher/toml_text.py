"""TOML that a vendor writes: advisories and manifests."""

from __future__ import annotations

import tomllib
from typing import Any

from repoint.model.encoding import toml_reason
from repoint.model.errors import RepointError


def parse_toml(content: bytes, name: str, refusal: type[RepointError]) -> dict[str, Any]:
    """Return the table of a TOML file.

    Args:
        content: The content, with or without a byte order mark.
        name: The file's name, for messages.
        refusal: The error to raise.

    Raises:
        RepointError: It is not UTF-8 or not TOML; of the type ``refusal``.
    """
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise refusal(f"{name}: not UTF-8", hint="Save it as UTF-8") from None
    except (ValueError, RecursionError) as error:
        reason = toml_reason(error)
        raise refusal(f"{name}: not TOML: {reason}", hint="Correct that line") from None
