"""Which tree of a component was active when a process started."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import msgspec

from repoint.device.store.generations.switch_clock import active_at, active_since
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, GraftPoint
from repoint.device.store.store import Store
from repoint.host.kernel.boot import Boot
from repoint.model.errors import RepointError

_TICKS = os.sysconf("SC_CLK_TCK")

_TOLERANCE = 0.02
"""Seconds by which a process may seem to start too early: the kernel counts in ticks."""


class Grafted(msgspec.Struct, frozen=True):
    """A component of an enrolled product.

    Attributes:
        state: The product.
        point: Its graft point.
        active: The seal of its active tree.
    """

    state: ProductState
    point: GraftPoint
    active: str


class Past:
    """The trees that were active in the past, on one machine.

    Args:
        store: The store.
        boot: The current boot.
    """

    def __init__(self, store: Store, boot: Boot) -> None:
        self._boot = boot
        self._boot_time = start_time(0, boot)
        self.components = list(_components(store))
        self._by_seal: dict[str, Grafted] = {}
        for grafted in self.components:
            for generation in grafted.state.generations.all():
                seal = grafted.state.generations.seals(generation).get(grafted.point.component)
                if seal is not None:
                    self._by_seal.setdefault(seal, grafted)
        # An active tree belongs to the component that it is active for.
        self._by_seal |= {grafted.active: grafted for grafted in self.components}

    def component_of(self, seal: str) -> tuple[str, str]:
        """Return the product and the component that a tree belongs to; empty names if to none."""
        grafted = self._by_seal.get(seal)
        return (grafted.state.name, grafted.point.component) if grafted is not None else ("", "")

    def seal_at(self, seal: str, started: int) -> str:
        """Return the tree that was active in place of another tree of the same component.

        Args:
            seal: The seal of any tree of the component.
            started: A time in clock ticks since the boot.
        """
        grafted = self._by_seal.get(seal)
        if grafted is None:
            return seal
        when = self._boot_time + started / _TICKS
        if when + _TOLERANCE >= active_since(grafted.state, self._boot):
            return grafted.active
        age = started / _TICKS
        generation = active_at(grafted.state, age, self._boot) or _by_history(grafted.state, when)
        if generation not in grafted.state.generations.all():
            generation = Generation.of(grafted.state.documents.enrolment().baseline)
        seals = grafted.state.generations.seals(generation)
        return seals.get(grafted.point.component, grafted.active)


def start_time(ticks: int, boot: Boot) -> float:
    """Return a time in clock ticks since the boot in seconds since 1970."""
    return boot.origin() + ticks / _TICKS


def _by_history(state: ProductState, when: float) -> Generation:
    """Return the generation that was active at a time before the last switch, by the history.

    The clock may have been set meanwhile. So this counts only where nothing better is recorded.
    """
    active = state.links.active()
    known = {generation.label: generation for generation in state.generations.all()}
    found = Generation.of(state.documents.enrolment().baseline)
    for entry in state.history.entries():
        if entry.event == "activated" and entry.when <= when:
            found = known.get(entry.label, found)
        elif entry.event == "failed":
            found = Generation.of(state.documents.enrolment().baseline)
    return found if found != active else Generation.of(state.documents.enrolment().baseline)


def _components(store: Store) -> Iterator[Grafted]:
    for state in store.enrolled():
        # What is damaged is reported by the commands for that product.
        with contextlib.suppress(RepointError, OSError):
            active = state.links.active()
            seals = state.generations.seals(active) if active is not None else {}
            for point in state.documents.enrolment().grafts:
                if point.component in seals:
                    yield Grafted(state, point, seals[point.component])
