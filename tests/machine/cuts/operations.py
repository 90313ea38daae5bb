"""The operations, as a person at the machine runs them, and as the harness repeats them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from repoint.device.device import Device
from repoint.device.errors import EnrolmentRefusedError, NotEnrolledError
from repoint.device.store.product_state import ProductState
from repoint.device.update.enrolment.enroll import GraftRequest
from repoint.device.update.enrolment.recognize import BaselineFilter
from repoint.model.errors import RepointError
from tests.machine.cuts.product import CODEC, ENGINE, OLD, PRODUCT, A, B

PROGRAM = ("systemctl", "restart", "acme.service")


class Operation(NamedTuple):
    """One operation.

    Attributes:
        name: What it is called.
        command: What a person types; ``URL`` and ``ROOT`` stand for the repository's.
        served: Which letter the repository has published by then.
        labels: What may be in force at any instant.
        act: The same again, with the device, the repository's address and its root.
        switched: Whether the store is behind the instant at which the operation commits.
        done: Errors by which a second run says that there is nothing left to do.
    """

    name: str
    command: str
    served: str
    labels: tuple[str, ...]
    act: Callable[[Device, str, bytes], object]
    switched: Callable[[ProductState], bool]
    done: tuple[type[RepointError], ...] = ()


def _enrol(device: Device, url: str, root: bytes) -> None:
    grafts = {
        "engine": GraftRequest(ENGINE),
        "codec": GraftRequest(CODEC, PROGRAM, "sysext"),
    }
    device.enroll(PRODUCT, url, root, grafts, BaselineFilter())


def _again(device: Device, *_: object) -> None:
    for step in (
        lambda: device.check(None),
        lambda: device.install(None, user_initiated=True),
        lambda: device.restart(None),
    ):
        step()


def _remove(device: Device, *_: object) -> None:
    device.remove(None, why="")
    device.restart(None)


def _active(product: ProductState, label: str) -> bool:
    active = product.links.active()
    return active is not None and active.label == label


def _staged(product: ProductState, label: str) -> bool:
    staged = product.links.staged()
    return staged is not None and staged.label == label


def _is_enrolled(product: ProductState) -> bool:
    return (product.path / "enrolment.json").exists()


OPERATIONS = (
    Operation(
        "enrol",
        f"repoint enroll URL --product {PRODUCT} --root ROOT --system codec={CODEC} "
        f"--graft engine={ENGINE} --program 'codec={' '.join(PROGRAM)}'",
        A, (OLD,), _enrol, _is_enrolled, (EnrolmentRefusedError,),
    ),
    Operation(
        "check", "repoint check", A, (OLD,), lambda d, *_: d.check(None),
        lambda p: p.documents.catalog() is not None and p.documents.known_improvement("a") is not None,
    ),
    Operation(
        "install", "repoint install", A, (OLD, A), lambda d, *_: d.install(None, user_initiated=True),
        lambda p: _staged(p, A) or _active(p, A),
    ),
    Operation(
        "activate", "repoint restart --yes", A, (OLD, A), lambda d, *_: d.restart(None),
        lambda p: _active(p, A),
    ),
    Operation(
        "second letter", "repoint check && repoint install && repoint restart --yes", B, (A, B),
        _again, lambda p: _active(p, B),
    ),
    Operation(
        "remove", "repoint remove; repoint restart --yes || true", B, (B, OLD), _remove,
        lambda p: _active(p, OLD),
    ),
    Operation(
        "unenrol", "repoint unenroll", B, (OLD,), lambda d, *_: d.unenroll(None),
        lambda p: not _is_enrolled(p), (NotEnrolledError,),
    ),
)  # fmt: skip


def operation(name: str) -> Operation:
    """The operation of that name."""
    return next(found for found in OPERATIONS if found.name == name)
