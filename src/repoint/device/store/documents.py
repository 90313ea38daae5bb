"""A product's documents: the enrolment, the verified catalog and improvements, and the settings."""

from __future__ import annotations

import os
from pathlib import Path

from repoint.device.errors import NotEnrolledError, StoreDamagedError
from repoint.device.store.files import RecordFolder, damaged, read_note
from repoint.device.store.records import (
    Enrolment,
    Generation,
    GraftPoint,
    Grafts,
    KeptHalt,
    KeptHalts,
    LastCheck,
    Positions,
    UserSettings,
)
from repoint.model.catalog import Catalog
from repoint.model.improvement import Improvement
from repoint.model.renamed_ids import Renaming


class Documents:
    """The documents of one product.

    Args:
        product: The product's name.
        folder: The product's folder in the store.
    """

    def __init__(self, product: str, folder: Path) -> None:
        self._product = product
        self._records = RecordFolder(folder)

    @property
    def enrolment_path(self) -> Path:
        """The file whose appearance enrols the product."""
        return self._records.path / "enrolment.json"

    def enrolment(self) -> Enrolment:
        """Return what enrolment pinned.

        Raises:
            NotEnrolledError: The product is not enrolled.
        """
        enrolment = self._records.read("enrolment.json", Enrolment)
        if enrolment is None:
            if os.path.lexists(self._records.path / "active"):
                raise damaged(self.enrolment_path, "it is missing")
            raise NotEnrolledError(
                f"{self._product} is not enrolled in {self._records.path.parent.parent}",
                hint="Enrol it with `repoint enroll`",
            )
        return enrolment

    def set_enrolment(self, enrolment: Enrolment) -> None:
        """Write the enrolment. This rename is the commit point of enrolling."""
        self._records.write("enrolment.json", enrolment)

    def grafts(self) -> tuple[GraftPoint, ...]:
        """Return the graft points, even if the enrolment is damaged.

        Raises:
            StoreDamagedError: They are not known.
        """
        try:
            return self.enrolment().grafts
        except StoreDamagedError:
            kept = self.kept_grafts()
            if kept is None:
                raise
            return kept.grafts

    def kept_grafts(self) -> Grafts | None:
        """Return what `set_grafts` wrote, or None."""
        return self._records.read("grafts.json", Grafts)

    def set_grafts(self, grafts: tuple[GraftPoint, ...]) -> None:
        """Write where the links are, for the case that the enrolment is damaged later."""
        record = Grafts(grafts)
        if read_note(self._records.path / "grafts.json", Grafts) != record:
            self._records.write("grafts.json", record)

    def settings(self) -> UserSettings:
        """Return the person's settings, or the defaults if there are none."""
        return self._records.read("settings.json", UserSettings) or UserSettings()

    def set_settings(self, settings: UserSettings) -> None:
        """Write the person's settings."""
        self._records.write("settings.json", settings)

    def catalog(self) -> Catalog | None:
        """Return the last verified catalog, or None."""
        return self._records.read("catalog.json", Catalog)

    def set_catalog(self, catalog: Catalog) -> None:
        """Write a verified catalog."""
        self._records.write("catalog.json", catalog)

    def last_check(self) -> LastCheck | None:
        """Return when the repository was last checked and how that ended, or None."""
        return self._records.read("checked.json", LastCheck)

    def last_verified(self) -> int:
        """Return when the catalog was last known to be current, in seconds since 1970; else 0."""
        last = self.last_check()
        return last.success if last is not None else 0

    def record_check(self, now: int, error: str = "", *, note: str = "") -> None:
        """Record a check of the repository. A failed one leaves the time of the last success."""
        before = self.last_check()
        success = before.success if before is not None else 0
        check = LastCheck(now, error, success if error else now, note)
        self._records.write("checked.json", check)

    def halts(self) -> tuple[KeptHalt, ...]:
        """Return the halts that this device has seen."""
        return (self._records.read("halts.json", KeptHalts) or KeptHalts()).halts

    def set_halts(self, halts: tuple[KeptHalt, ...]) -> None:
        """Write the halts that this device has seen."""
        if halts or self._records.exists("halts.json"):
            self._records.write("halts.json", KeptHalts(halts))

    def positions(self) -> dict[str, int]:
        """Return the position of this device for each letter that is rolled out."""
        return (self._records.read("positions.json", Positions) or Positions()).positions

    def set_positions(self, positions: dict[str, int]) -> None:
        """Write the positions of this device."""
        self._records.write("positions.json", Positions(positions))

    def known_improvement(self, letter: str) -> Improvement | None:
        """Return the verified record of an offered improvement, installed or not, or None."""
        return self._records.read(self._offer_name(letter), Improvement)

    def add_improvement(self, letter: str, improvement: Improvement) -> None:
        """Write the verified record of an offered improvement."""
        self._records.write(self._offer_name(letter), improvement)

    def renamings(self) -> list[Renaming]:
        """Return what each offered or withdrawn improvement renames."""
        names = sorted(path.name for path in self._records.path.glob("offers/*.json"))
        found = (self._records.read(f"offers/{name}", Renaming) for name in names)
        return [renaming for renaming in found if renaming is not None]

    def keep_improvements(self, letters: set[str]) -> None:
        """Remove the records of all offered improvements but those of the given letters."""
        kept = {self._offer_name(letter) for letter in letters}
        for file in self._records.path.glob("offers/*.json"):
            if f"offers/{file.name}" not in kept:
                file.unlink()

    def _offer_name(self, letter: str) -> str:
        return f"offers/{Generation.of(self.enrolment().baseline, letter).folder}.json"
