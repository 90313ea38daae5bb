"""The order of writes in which a product is enrolled, or moves to another baseline."""

from __future__ import annotations

from pathlib import Path

from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Enrolment, Generation
from repoint.device.store.trees.in_force import put_in_force
from repoint.fs.durable import sync, write_durably
from repoint.fs.removal import remove_tree
from repoint.model.encoding import encode_record


def commit_enrolment(state: ProductState, enrolment: Enrolment) -> None:
    """Write the enrolment, and record that its consequences are still to be carried out."""
    write_durably(_unfinished(state), encode_record(enrolment))
    state.documents.set_enrolment(enrolment)


def is_unfinished(state: ProductState) -> bool:
    """Return whether a consequence of the enrolment is still to be carried out."""
    active = state.links.active()
    if active is None or active.baseline != Generation.of(state.documents.enrolment().baseline):
        return True
    try:
        # An enrolment that was interrupted before its commit leaves a note that does not match.
        return _unfinished(state).read_bytes() == state.documents.enrolment_path.read_bytes()
    except FileNotFoundError:
        return False


def finish_enrolment(state: ProductState) -> None:
    """Record that all consequences of the enrolment are carried out."""
    state.documents.set_grafts(state.documents.enrolment().grafts)
    note = _unfinished(state)
    if note.exists():
        note.unlink()
        # It must not come back after a power cut, when an improvement is active.
        sync(state.path)


def reset_to_baseline(state: ProductState, baseline: Generation) -> None:
    """Make a baseline active, and drop everything that belongs to an earlier one."""
    state.links.clear_staged()
    state.links.clear_previous()
    for folder in ("offers", "marks"):
        if (state.path / folder).is_dir():
            remove_tree(state.path / folder)
    put_in_force(state, baseline)


def _unfinished(state: ProductState) -> Path:
    return state.path / "unfinished"
