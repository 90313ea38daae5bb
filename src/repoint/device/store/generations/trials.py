"""What is on disk about the trial of a letter: see `activate.trial` for the rules."""

from __future__ import annotations

from pathlib import Path

from repoint.device.store.files import RecordFolder, read_note
from repoint.device.store.records import Services, Trial
from repoint.host.systemd.services import Unit


class Trials:
    """The trial record of one product, and the services that run from its components."""

    def __init__(self, folder: Path) -> None:
        self._records = RecordFolder(folder)

    def current(self) -> Trial | None:
        """Return the trial record, or None. It may belong to a letter that is not active."""
        return self._records.read("trial.json", Trial)

    def set(self, trial: Trial) -> None:
        """Write the trial record."""
        self._records.write("trial.json", trial)

    def clear(self) -> None:
        """Remove the trial record."""
        self._records.remove("trial.json")

    def services(self) -> dict[str, tuple[Unit, ...]]:
        """Return the services that last ran from each component."""
        services = read_note(self._records.path / "services.json", Services)
        return services.services if services is not None else {}

    def set_services(self, services: dict[str, tuple[Unit, ...]]) -> None:
        """Record which services run from each component."""
        self._records.write("services.json", Services(services))
