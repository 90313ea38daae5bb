"""What is decided for a product: by the person, by policy, and by the agent's schedule."""

from __future__ import annotations

from dataclasses import dataclass

from repoint.device.device import Device


@dataclass(frozen=True)
class Outlook:
    """What the panel says of settings and of what is to come.

    Attributes:
        automatic: Whether improvements install by themselves.
        automatic_locked: The policy's source, where it decides that; else empty.
        removal_locked: The policy's source, where it forbids removal; else empty.
    """

    automatic: bool
    automatic_locked: str = ""
    removal_locked: str = ""


def outlook(device: Device, product: str) -> Outlook:
    """Look at what is decided for a product."""
    return Outlook(device.settings(product).automatic)
