"""Open the device of a command, and go through the products that the command is about.

`repoint status` imports this module without the command-line library, so it must not import that.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from repoint.cli.store import default_store
from repoint.cli.terminal import print

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from repoint.device.device import Device
    from repoint.model.errors import RepointError


def open_device(
    store: Path | None, *, unprivileged: bool = False, automatic: bool = False
) -> Device:
    """Return the device with a store; it reports on standard error for whom it waits.

    Args:
        store: The store; None for the default.
        unprivileged: See `Device`.
        automatic: True if no person runs the command. The history says who caused a change.
    """
    from repoint.device.device import Device
    from repoint.device.store.records import Actor

    def report_wait(holder: object) -> None:
        print(f"Waiting for {holder or 'another command'} …", file=sys.stderr, flush=True)

    actor = Actor("automatic") if automatic else Actor("person", _account())
    return Device(store_path(store), on_wait=report_wait, unprivileged=unprivileged, actor=actor)


def store_path(given: Path | None) -> Path:
    """Return the store that an option names, or the default."""
    return given if given is not None else Path(default_store())


def _account() -> str:
    """Return the account of the person who runs the command, also below ``sudo``."""
    import pwd

    sudo = os.environ.get("SUDO_UID", "")
    uid = int(sudo) if os.geteuid() == 0 and sudo.isdecimal() else os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)


def named_products(device: Device, product: str | None) -> list[str]:
    """Return the product that is named, or all that are enrolled.

    Raises:
        NotEnrolledError: It is not enrolled, or none is.
    """
    enrolled = [state.name for state in device.store.enrolled()]
    return enrolled if product is None and enrolled else [device.store.one(product).name]


def for_each(products: list[str], work: Callable[[str], object]) -> dict[str, RepointError]:
    """Do the work for each product. If there are several, the trouble of one stops no other.

    Returns:
        What failed, by product.
    """
    from repoint.device.os_errors import Troubles, isolated

    troubles: Troubles = {}
    for product in products:
        if len(products) == 1:
            work(product)
        else:
            with isolated(product, troubles):
                work(product)
    return troubles
