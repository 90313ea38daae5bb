"""The icon of a product: a small PNG, which a browser shows and Repoint never decodes."""

from __future__ import annotations

import struct

from repoint.model.errors import InvalidRecordError

MAX_ICON = 32 << 10
"""Bytes of an icon. Every device reads it with the baseline."""

MAX_PIXELS = 512
"""Pixels of each side."""

_HEAD = struct.Struct(">8s4x4sII")
"""The signature, then the first chunk: its length, type, and in IHDR width and height.

Source: https://www.w3.org/TR/png-3/#5PNG-file-signature
"""


def check_icon(icon: bytes) -> bytes:
    """Return ``icon`` if it may be the icon of a product.

    Raises:
        InvalidRecordError: It is no PNG, or too large.
    """
    if len(icon) > MAX_ICON:
        raise InvalidRecordError(
            f"The icon is larger than {MAX_ICON:,} bytes", hint="Make it smaller"
        )
    if len(icon) >= _HEAD.size:
        signature, kind, width, height = _HEAD.unpack_from(icon)
        if (signature, kind) == (b"\x89PNG\r\n\x1a\n", b"IHDR"):
            if not (0 < width <= MAX_PIXELS and 0 < height <= MAX_PIXELS):
                raise InvalidRecordError(
                    f"The icon is {width:,} by {height:,} pixels",
                    hint=f"Make it at most {MAX_PIXELS} by {MAX_PIXELS}",
                )
            return icon
    raise InvalidRecordError("The icon is no PNG", hint="Save it as PNG")
