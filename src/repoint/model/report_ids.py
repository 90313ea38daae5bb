"""The ids in reports: made from the device's secret, so that they say nothing about the device.

They are HMAC-SHA-256 (RFC 2104), each with a domain of its own, so that neither tells anything
about the positions in rollouts, which use the same secret.
"""

from __future__ import annotations

import hashlib
import hmac

from repoint.model.baseline import BaselineName


def letter_id(secret: bytes, product: str, baseline: BaselineName, letter: str) -> str:
    """Return the id that the events of one letter on one device carry: 32 hexadecimal digits.

    Args:
        secret: The device's secret, which never leaves it.
        product: The product.
        baseline: The baseline of the device.
        letter: The letter.
    """
    text = "\0".join((product, baseline.platform, baseline.version, baseline.build, letter))
    return _digits(secret, b"repoint report 1\0" + text.encode())


def device_id(secret: bytes, product: str, token: str) -> str:
    """Return the id of a device in a managed fleet: 32 hexadecimal digits.

    Args:
        secret: The device's secret, which never leaves it.
        product: The product.
        token: The token that the fleet has given to its devices. It is not secret, and is not sent.
    """
    return _digits(secret, b"repoint device 1\0" + f"{product}\0{token}".encode())


def event_nonce(secret: bytes, product: str, number: int, when: int) -> str:
    """Return the nonce of an event of the history: 32 hexadecimal digits.

    It is not drawn by chance, so that what will be sent can be shown before it is written down, and
    so that an event that is noted twice still counts once.

    Args:
        secret: The device's secret, which never leaves it.
        product: The product.
        number: The number of the entry in the history.
        when: When it was, in seconds since 1970.
    """
    return _digits(secret, b"repoint nonce 1\0" + f"{product}\0{number}\0{when}".encode())


def _digits(secret: bytes, message: bytes) -> str:
    return hmac.digest(secret, message, hashlib.sha256)[:16].hex()
