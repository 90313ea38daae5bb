"""What a device writes down about itself. Unlike the signed documents, these are its own."""

from __future__ import annotations

from typing import Literal

import msgspec

from repoint.host.systemd import Unit
from repoint.model.baseline import BaselineName
from repoint.model.version import label

Form = Literal["", "folder", "image", "damaged"]
"""How a layer is merged over a system: not, as a folder, as an image that the kernel checks, or as
one whose content it refuses to show."""


class GraftPoint(msgspec.Struct, frozen=True):
    """Where a component stands on the device, and what runs from it.

    Attributes:
        component: The component's name.
        path: Absolute path; the graft point's own name may be a link, its parents are resolved.
        program: Command that starts the program again after it was closed; empty for none.
        strategy: The name of its activation strategy: see `strategy.STRATEGIES`.
    """

    component: str
    path: str
    program: tuple[str, ...] = ()
    strategy: str = "tree"


class Enrolment(msgspec.Struct, frozen=True):
    """What enrolment pins. ``enrolled`` is in seconds since 1970."""

    format: Literal[1]
    product: str
    repository: str
    baseline: BaselineName
    grafts: tuple[GraftPoint, ...]
    enrolled: int


class UserSettings(msgspec.Struct, frozen=True):
    """What a person decides. ``automatic`` is "Automatically Install"."""

    automatic: bool = True


class LastCheck(msgspec.Struct, frozen=True):
    """When the repository was last asked, in seconds since 1970, and what came of it."""

    when: int
    error: str = ""


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


class HistoryEntry(msgspec.Struct, frozen=True):
    """One line of the history. ``when`` is in seconds since 1970."""

    when: int
    event: Event
    label: str
    why: str = ""


class Mark(msgspec.Struct, frozen=True):
    """What keeps a letter from being installed by itself.

    A letter that failed here is not tried again; one that a person removed is only
    installed when a person asks for it.
    """

    kind: Literal["failed", "removed"]
    when: int
    why: str = ""


class Services(msgspec.Struct, frozen=True):
    """The services that were seen to run from each component."""

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
    """One state that a product can be in: its baseline, or one improvement of it.

    The name of its folder holds all of it, so that a link to the folder says what is active.
    """

    version: str
    build: str
    letter: str = ""

    @property
    def folder(self) -> str:
        """Name of its folder. No version can hold a hyphen, and no letter is that long."""
        return f"{self.version}-{self.build}-{self.letter or 'baseline'}"

    @classmethod
    def of(cls, baseline: BaselineName, letter: str = "") -> Generation:
        """The generation of a baseline, or of a letter against it."""
        return cls(baseline.version, baseline.build, letter)

    @classmethod
    def from_folder(cls, name: str) -> Generation:
        """The generation that a folder is named after.

        Raises:
            ValueError: It is no such name.
        """
        version, build, letter = name.split("-")
        return cls(version, build, "" if letter == "baseline" else letter)

    @property
    def label(self) -> str:
        """How people write it: ``26.3.1 (a)``, or ``26.3.1`` for the baseline."""
        return label(self.version, self.letter)

    @property
    def baseline(self) -> Generation:
        """The baseline it belongs to."""
        return Generation(self.version, self.build)
