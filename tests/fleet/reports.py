"""Reports as devices send them."""

from __future__ import annotations

import uuid

from repoint.model.baseline import BaselineName
from repoint.model.report import Failure, Kind, Report

PRODUCT = "acme-kiosk"
BASELINE = BaselineName("linux-x86_64", "26.3.1", "25D2128")


def new_id() -> str:
    """Return a random id or nonce."""
    return uuid.uuid4().hex


def event(
    kind: Kind, identity: str, letter: str = "a", *, age: int = 0, failure: Failure | None = None,
    device: str = "", ring: str = "", baseline: BaselineName = BASELINE, product: str = PRODUCT,
) -> Report:  # fmt: skip
    """Return what a device reports about a letter."""
    return Report(
        "1.0", kind, new_id(), product, baseline, "0.1.0", letter=letter, age=age, failure=failure,
        id=identity, device=device, ring=ring,
    )  # fmt: skip


def count(
    letter: str = "", *, device: str = "", staged: str = "", exposed: int = 0, ring: str = "",
    product: str = PRODUCT, baseline: BaselineName = BASELINE,
) -> Report:  # fmt: skip
    """Return the weekly count of a device."""
    return Report(
        "1.0", "count", new_id(), product, baseline, "0.1.0", letter=letter, staged=staged,
        exposed=exposed, device=device, ring=ring,
    )  # fmt: skip
