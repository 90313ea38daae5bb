"""The records of a device. Unlike the signed documents, they are its own."""

from __future__ import annotations

from typing import Literal

import msgspec

from repoint.host.systemd.services import Unit
from repoint.model.baseline import BaselineName
from repoint.model.version import label

Form = Literal["", "folder", "image", "damaged"]
"""How a layer is merged over a system: not at all, as a folder, as an image that the kernel checks,
or as an image whose content it refuses to show."""


class GraftPoint(msgspec.Struct, frozen=True):
    """Where a component is on the device, and what runs from it.

    Attributes:
        component: The component's name.
        path: The absolute path. Its parents are resolved; the last name may be a link.
        program: The command that starts the program again after it was closed; () if there is none.
        strategy: The name of its activation strategy: see `strategy.STRATEGIES`.
    """

    component: str
    path: str
    program: tuple[str, ...] = ()
    strategy: str = "tree"


class Enrolment(msgspec.Struct, frozen=True):
    """What enrolment pins.

    Attributes:
        enrolled: When, in seconds since 1970.
        ring: The ring of devices that this one belongs to in rollouts; empty if it is in none.
    """

    format: Literal[1]
    product: str
    repository: str
    baseline: BaselineName
    grafts: tuple[GraftPoint, ...]
    enrolled: int
    ring: str = ""


class KeptHalt(msgspec.Struct, frozen=True):
    """A halt that this device has seen.

    Attributes:
        baseline: The baseline of the letter.
        letter: The letter.
        since: Since when it counts, in seconds since 1970.
        reason: The reason.
        resumed: The `resumed` of the letter's offer then. Only a later one ends the halt.
    """

    baseline: BaselineName
    letter: str
    since: int
    reason: str
    resumed: int


class KeptHalts(msgspec.Struct, frozen=True):
    """The halts that this device has seen, and that the vendor has not ended."""

    halts: tuple[KeptHalt, ...] = ()


class Positions(msgspec.Struct, frozen=True):
    """The position of this device for each letter that is rolled out: see `model.rollout`."""

    positions: dict[str, int] = {}


class Grafts(msgspec.Struct, frozen=True):
    """Where the links of a product are. Read only if its enrolment is damaged."""

    grafts: tuple[GraftPoint, ...]


class UserSettings(msgspec.Struct, frozen=True):
    """The settings of a person.

    Attributes:
        automatic: "Automatically Install".
        reports: "Share Reports": whether the person consents to reports.
        reports_to: The address of the fleet that the reports are for; "" if none is known.
    """

    automatic: bool = True
    reports: bool = False
    reports_to: str = ""


class LastCheck(msgspec.Struct, frozen=True):
    """The last check of the repository. Times are in seconds since 1970.

    Attributes:
        when: The time of the last check.
        error: Why it failed; empty if it succeeded.
        succeeded: The time of the last check that succeeded; 0 if none is known.
        note: What it found that a person should know, although it did not fail; or empty.
    """

    when: int
    error: str = ""
    succeeded: int = 0
    note: str = ""

    @property
    def success(self) -> int:
        """The time of the last check that succeeded; 0 if none is known."""
        return self.succeeded or (0 if self.error else self.when)


Event = Literal[
    "enrolled",
    "staged",
    "activated",
    "confirmed",
    "failed",
    "removed",
    "superseded",
    "unstaged",
    "repaired",
]


By = Literal["", "person", "automatic", "policy"]
"""Who caused a change: a person, a background update, or one that the policy enforced; "" if it is
not known, as for a change whose command was interrupted."""


class Actor(msgspec.Struct, frozen=True):
    """Who causes a change. ``account`` is the name of a person's account."""

    by: By = ""
    account: str = ""


class HistoryEntry(msgspec.Struct, frozen=True):
    """One entry of the history. ``when`` is in seconds since 1970.

    ``by`` and ``account`` say who caused it.
    """

    when: int
    event: Event
    label: str
    why: str = ""
    by: By = ""
    account: str = ""


class Mark(msgspec.Struct, frozen=True):
    """A reason not to install a letter automatically.

    A letter that failed here is not tried again; one that a person removed is only
    installed when a person asks for it. ``cause`` is the kind of failure.
    """

    kind: Literal["failed", "removed"]
    when: int
    why: str = ""
    cause: Literal["", "health", "start"] = ""


class Services(msgspec.Struct, frozen=True):
    """The services that ran from each component when they were recorded."""

    services: dict[str, tuple[Unit, ...]]


class Trial(msgspec.Struct, frozen=True):
    """The record of a trial: see `activate.trial` for the rules.

    Attributes:
        generation: The folder name of the generation on trial.
        boot: The kernel's identifier of the machine start that was counted last.
        began: When waiting began, in seconds after that start.
        tries: The number of machine starts that were counted.
        services: The services that run from what the letter changes.
        whole: Whether the machine's own start has to finish as well.
        starting: Whether waiting began with a start of the machine.
    """

    generation: str
    boot: str
    began: float
    tries: int = 1
    services: tuple[Unit, ...] = ()
    whole: bool = False
    starting: bool = False


class Generation(msgspec.Struct, frozen=True):
    """One state of a product: its baseline, or one improvement of it.

    The folder's name holds all its fields, so that a link to the folder says what is active.
    """

    version: str
    build: str
    letter: str = ""

    @property
    def folder(self) -> str:
        """The name of its folder. No version contains a hyphen, and no letter is "baseline"."""
        return f"{self.version}-{self.build}-{self.letter or 'baseline'}"

    @classmethod
    def of(cls, baseline: BaselineName, letter: str = "") -> Generation:
        """Return the generation of a baseline, or of a letter of it."""
        return cls(baseline.version, baseline.build, letter)

    @classmethod
    def from_folder(cls, name: str) -> Generation:
        """Return the generation of a folder's name.

        Raises:
            ValueError: The name is not that of a generation.
        """
        version, build, letter = name.split("-")
        return cls(version, build, "" if letter == "baseline" else letter)

    @property
    def label(self) -> str:
        """The label: ``26.3.1 (a)``, or ``26.3.1`` for the baseline."""
        return label(self.version, self.letter)

    @property
    def baseline(self) -> Generation:
        """The baseline it belongs to."""
        return Generation(self.version, self.build)
