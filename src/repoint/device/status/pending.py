"""What the staged generation changes, and which processes block the switch to it."""

from __future__ import annotations

from repoint.device.status.census import Census, Use
from repoint.device.store.product_state import ProductState
from repoint.model.baseline import RestartScope


def blocking(state: ProductState, census: Census) -> list[Use]:
    """Return the processes that block a switch.

    A program that was started through the launcher never does: it keeps its tree. Any other program
    that runs from a component may later load more of it from the graft point, and would then mix
    two trees. A container and another account's reader cannot hold a fix off: see
    ``docs/decisions/0038-whose-processes-count.md``.
    """
    changed = changed_seals(state)
    return [
        use
        for use in (*census.uses, *census.suspects)
        if use.seal in changed and use.closes and not (use.held or use.contained)
    ]


def changed_seals(state: ProductState) -> dict[str, str]:
    """Return the components whose active trees the staged generation replaces, by their seals."""
    active, staged = state.links.active(), state.links.staged()
    if active is None or staged is None:
        return {}
    before, after = state.generations.seals(active), state.generations.seals(staged)
    return {seal: name for name, seal in before.items() if after.get(name) != seal}


def pending_scopes(state: ProductState) -> set[RestartScope]:
    """Return the restart scopes of the components that the staged generation changes."""
    staged = state.links.staged()
    if staged is None:
        return set()
    changed = set(changed_seals(state).values())
    return {c.restart for c in state.generations.baseline(staged).components if c.name in changed}
