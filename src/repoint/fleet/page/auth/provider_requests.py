"""The requests to an OpenID provider: bounded in time and size, without redirects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec
import urllib3

from repoint.fleet.page.auth.errors import ProviderError

_SECONDS = 10.0
_MOST_BYTES = 1 << 20


def get_json(address: str, *, bearer: str = "") -> dict[str, Any]:
    """Return the JSON object at an address.

    Raises:
        ProviderError: There is none.
    """
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    return _request("GET", address, headers, None)


def post_form(
    address: str, form: Mapping[str, str], basic: tuple[str, str] | None
) -> dict[str, Any]:
    """Send a form, and return the JSON object that answers it.

    Args:
        address: Where to send it.
        form: The fields.
        basic: A name and a password for HTTP authentication.

    Raises:
        ProviderError: It was refused.
    """
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if basic is not None:
        # RFC 6749, section 2.3.1: each part is encoded as in a form before they are joined.
        coded = [urlencode({"": part})[1:] for part in basic]
        headers |= urllib3.make_headers(basic_auth=":".join(coded))
    return _request("POST", address, headers, urlencode(form).encode())


def _request(
    method: str, address: str, headers: Mapping[str, str], body: bytes | None
) -> dict[str, Any]:
    where = urlsplit(address).netloc
    try:
        with _client(address) as client:
            response = client.request(
                method,
                address,
                body=body,
                headers={"Accept": "application/json", **headers},
                timeout=urllib3.Timeout(total=_SECONDS),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            data = response.read(_MOST_BYTES + 1)
            response.release_conn()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        reason = type(error).__name__.removesuffix("Error")
        raise ProviderError(
            f"The OpenID provider {where} does not answer ({reason})", hint="Try again later"
        ) from None
    if response.status != 200 or len(data) > _MOST_BYTES:
        raise ProviderError(
            f"The OpenID provider {where} refused it (status {response.status})",
            hint="Sign in again",
        )
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.DecodeError:
        raise ProviderError(
            f"The OpenID provider {where} did not answer with JSON", hint="Try again later"
        ) from None


def _client(address: str) -> urllib3.PoolManager:
    parts = urlsplit(address)
    proxy = getproxies().get(parts.scheme, "")
    if proxy and not proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()
