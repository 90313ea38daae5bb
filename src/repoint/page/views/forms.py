"""The body of a form, read within limits."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.requests import Request

from repoint.page.auth.errors import RequestRefusedError

_MAX_FORM = 16 << 10
_MAX_FIELDS = 20
_FORM_TYPE = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form.

    Raises:
        RequestRefusedError: It is no form, or too large.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM_TYPE:
        raise RequestRefusedError("forged", 415)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM:
            raise RequestRefusedError("large", 413)
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise RequestRefusedError("forged", 400) from error
    return {name: values[0] for name, values in fields.items()}
