"""The secret of a device: everything that it decides or says by chance of its own comes from it."""

from __future__ import annotations

import os

from repoint.device.store.product_state import ProductState
from repoint.fs.durable import write_durably

_FILE = "rollout-secret"
_BYTES = 32


def device_secret(state: ProductState) -> bytes:
    """Return the device's secret for this product, and make it if there is none.

    It is random, never sent, and private to the owner of the store. The store must be locked.
    """
    secret = known_secret(state)
    if secret is None:
        secret = os.urandom(_BYTES)
        write_durably(state.path / _FILE, secret, mode=0o600)
    return secret


def known_secret(state: ProductState) -> bytes | None:
    """Return the device's secret for this product, or None if there is none yet."""
    try:
        secret = (state.path / _FILE).read_bytes()
    except FileNotFoundError:
        return None
    return secret if len(secret) == _BYTES else None
