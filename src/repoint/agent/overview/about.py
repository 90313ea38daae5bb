"""How a product presents itself to people, as the baseline of the device says."""

from __future__ import annotations

from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation
from repoint.model.baseline import About, Baseline


def about_of(state: ProductState) -> About:
    """Return what the vendor says about the product; empty if that is nothing."""
    return _baseline_of(state).about or About()


def icon_of(state: ProductState) -> bytes:
    """Return the product's icon, a PNG; empty if it has none."""
    return _baseline_of(state).icon


def _baseline_of(state: ProductState) -> Baseline:
    return state.generations.baseline(Generation.of(state.documents.enrolment().baseline))
