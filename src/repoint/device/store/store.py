"""The store: sealed trees, and for each product what is active and what is staged.

::

    trees/<seal>/                     sealed trees, shared by all products
    lock                              held by the command that is changing the store
    products/<product>/
        enrolment.json                what is pinned; its appearance enrols the product
        unfinished                    the same, while not all is done that follows from it
        root.json                     the pinned trusted root
        metadata/                     what the update framework has verified
        catalog.json, checked.json    the last verified catalog, and when it was asked for
        settings.json, history.jsonl
        marks/<generation>.json       letters that failed here, or that were removed
        generations/<generation>/     one link a component to its tree, and the signed record
        active -> generations/…       what runs; graft points lead here
        staged -> generations/…       what waits for a restart
        previous -> generations/…     what to go back to if it fails
        trial.json                    what the active letter still has to show
        services.json                 the services that were last seen to run from components
        downloads/                    what is on its way, unverified

State is what is on disk. A product is in the generation that ``active`` leads to; there is no
second place that says so.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TypeVar

import msgspec

from repoint.device.activate.trial import Trial
from repoint.device.errors import NotEnrolledError, StoreDamagedError
from repoint.device.store.notes import read_note
from repoint.device.store.records import (
    Enrolment,
    Generation,
    HistoryEntry,
    LastCheck,
    Mark,
    Services,
    UserSettings,
)
from repoint.fs.durable import append_durably, make_folder, point_link, sync, write_durably
from repoint.host.systemd import Unit
from repoint.model.baseline import Baseline
from repoint.model.catalog import Catalog
from repoint.model.encoding import encode_record
from repoint.model.improvement import Improvement

Own = TypeVar("Own", bound=msgspec.Struct)


class Store:
    """The store of a device."""

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))

    @property
    def trees(self) -> Path:
        """Where the sealed trees stand."""
        return self.path / "trees"

    def tree(self, seal: str) -> Path:
        """Where the tree with that seal stands, or would."""
        return self.trees / seal

    def product(self, name: str) -> ProductState:
        """The part of one product, enrolled or not."""
        return ProductState(self, name)

    def enrolled(self) -> list[ProductState]:
        """All products that are enrolled."""
        found = sorted(self.path.glob("products/*/enrolment.json"))
        return [self.product(file.parent.name) for file in found]

    def one(self, name: str | None) -> ProductState:
        """The product that a person means; without a name, the only one there is.

        Raises:
            NotEnrolledError: There is none, or there are several.
        """
        enrolled = {product.name: product for product in self.enrolled()}
        if name is None and len(enrolled) == 1:
            return next(iter(enrolled.values()))
        if name in enrolled:
            return enrolled[name]
        if not enrolled:
            raise NotEnrolledError(
                f"No product is enrolled in {self.path}",
                hint="Enrol one with `repoint enroll`, or name another store with --store",
            )
        said = f"{name} is not enrolled" if name else "Several products are enrolled"
        raise NotEnrolledError(
            f"{said} in {self.path}",
            hint=f"Name one of these with --product: {', '.join(sorted(enrolled))}",
        )


class ProductState:
    """What the store holds of one product."""

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.name = name
        self.path = store.path / "products" / name

    @property
    def active_link(self) -> Path:
        """The link that decides which trees run; graft points lead through it."""
        return self.path / "active"

    @property
    def metadata(self) -> Path:
        """Where the update framework keeps what it has verified."""
        return self.path / "metadata"

    @property
    def downloads(self) -> Path:
        """Where bytes from the network lie until they are verified."""
        return self.path / "downloads"

    def generation_path(self, generation: Generation) -> Path:
        """The folder of a generation."""
        return self.path / "generations" / generation.folder

    def enrolment(self) -> Enrolment:
        """What enrolment pinned.

        Raises:
            NotEnrolledError: The product is not enrolled.
        """
        found = self._read("enrolment.json", Enrolment)
        if found is None:
            raise NotEnrolledError(
                f"{self.name} is not enrolled in {self.store.path}",
                hint="Enrol it with `repoint enroll`",
            )
        return found

    def active(self) -> Generation | None:
        """What is active; nothing while the enrolment is not finished."""
        return self._linked("active")

    def staged(self) -> Generation | None:
        """What waits for a restart."""
        staged = self._linked("staged")
        return None if staged == self.active() else staged

    def previous(self) -> Generation | None:
        """What was active before, to go back to."""
        return self._linked("previous")

    def generations(self) -> list[Generation]:
        """All generations on disk."""
        folders = self.path.glob("generations/[!.]*")
        return [Generation.from_folder(folder.name) for folder in sorted(folders)]

    def point_active(self, generation: Generation) -> None:
        """Make a generation the active one. This rename is the commit point of activation."""
        point_link(self.active_link, f"generations/{generation.folder}")

    def point_previous(self, generation: Generation) -> None:
        """Remember what to go back to."""
        point_link(self.path / "previous", f"generations/{generation.folder}")

    def forget_previous(self) -> None:
        """Let there be nothing to go back to but the baseline."""
        (self.path / "previous").unlink(missing_ok=True)

    def point_staged(self, generation: Generation) -> None:
        """Let a generation wait for the restart. This rename is the commit point of staging."""
        point_link(self.path / "staged", f"generations/{generation.folder}")

    def clear_staged(self) -> None:
        """Let nothing wait."""
        (self.path / "staged").unlink(missing_ok=True)

    def commit_enrolment(self, enrolment: Enrolment) -> None:
        """Write the enrolment, and that not all has been done yet that follows from it."""
        write_durably(self.path / "unfinished", encode_record(enrolment))
        self.write("enrolment.json", enrolment)

    def is_unfinished(self) -> bool:
        """Whether something that follows from the enrolment remains to be done."""
        active = self.active()
        if active is None or active.baseline != Generation.of(self.enrolment().baseline):
            return True
        try:
            # Of an enrolment that did not come to its commit, the mark may be there all the same.
            return self._bytes("unfinished") == self._bytes("enrolment.json")
        except FileNotFoundError:
            return False

    def finish_enrolment(self) -> None:
        """Note that all was done that follows from the enrolment."""
        mark = self.path / "unfinished"
        if mark.exists():
            mark.unlink()
            # It must not come back with a power cut, when an improvement is active.
            sync(self.path)

    def begin_anew(self, baseline: Generation) -> None:
        """Be at a baseline, with nothing left of what another one has brought."""
        self.clear_staged()
        self.forget_previous()
        for folder in ("offers", "marks"):
            if (self.path / folder).is_dir():
                shutil.rmtree(self.path / folder)
        self.point_active(baseline)

    def baseline(self, generation: Generation) -> Baseline:
        """The signed baseline that a generation belongs to."""
        folder = self.generation_path(generation.baseline)
        return self._signed(folder / "baseline.json", Baseline)

    def improvement(self, generation: Generation) -> Improvement | None:
        """The signed improvement of a generation; none for a baseline."""
        if not generation.letter:
            return None
        return self._signed(self.generation_path(generation) / "improvement.json", Improvement)

    def seals(self, generation: Generation) -> dict[str, str]:
        """The seal of each component's tree in a generation."""
        folder = self.generation_path(generation)
        return {p.name: p.readlink().name for p in folder.iterdir() if p.is_symlink()}

    def is_confirmed(self, generation: Generation) -> bool:
        """Whether the generation passed its health check, or had none to pass."""
        return not generation.letter or (self.generation_path(generation) / "confirmed").exists()

    def confirm(self, generation: Generation) -> None:
        """Write down that the generation passed its health check."""
        write_durably(self.generation_path(generation) / "confirmed", b"")

    def trial(self) -> Trial | None:
        """What is on disk of the trial of a letter, whichever that is."""
        return self._read("trial.json", Trial)

    def set_trial(self, trial: Trial) -> None:
        """Write down a trial."""
        self.write("trial.json", trial)

    def end_trial(self) -> None:
        """Let nothing be on trial."""
        (self.path / "trial.json").unlink(missing_ok=True)

    def services(self) -> dict[str, tuple[Unit, ...]]:
        """The services that were last seen to run from each component."""
        found = read_note(self.path / "services.json", Services)
        return found.services if found is not None else {}

    def set_services(self, services: dict[str, tuple[Unit, ...]]) -> None:
        """Write down which services run from each component."""
        self.write("services.json", Services(services))

    def mark(self, generation: Generation) -> Mark | None:
        """What keeps a generation from being installed by itself."""
        return self._read(f"marks/{generation.folder}.json", Mark)

    def marks(self) -> list[tuple[Generation, Mark]]:
        """All marks that are set."""
        names = sorted(path.stem for path in self.path.glob("marks/[!.]*.json"))
        return [(g, m) for g in map(Generation.from_folder, names) if (m := self.mark(g))]

    def set_mark(self, generation: Generation, mark: Mark | None) -> None:
        """Set or lift a mark."""
        path = self.path / "marks" / f"{generation.folder}.json"
        if mark is None:
            path.unlink(missing_ok=True)
            return
        make_folder(path.parent)
        write_durably(path, encode_record(mark))

    def settings(self) -> UserSettings:
        """What the person decided; the defaults where nothing is written."""
        return self._read("settings.json", UserSettings) or UserSettings()

    def set_settings(self, settings: UserSettings) -> None:
        """Write down what the person decided."""
        write_durably(self.path / "settings.json", encode_record(settings))

    def catalog(self) -> Catalog | None:
        """The catalog as it was last verified."""
        return self._read("catalog.json", Catalog)

    def last_check(self) -> LastCheck | None:
        """When the repository was last asked."""
        return self._read("checked.json", LastCheck)

    def known_improvement(self, letter: str) -> Improvement | None:
        """The signed record of an improvement that a check has found, installed or not."""
        baseline = self.enrolment().baseline
        name = Generation.of(baseline, letter).folder
        return self._read(f"offers/{name}.json", Improvement)

    def history(self) -> list[HistoryEntry]:
        """What happened, oldest first. A line that a power loss cut off is passed over."""
        try:
            lines = (self.path / "history.jsonl").read_bytes().splitlines()
        except FileNotFoundError:
            return []
        entries = []
        for line in lines:
            try:
                entries.append(msgspec.json.decode(line, type=HistoryEntry))
            except msgspec.DecodeError:
                continue
        return entries

    def record(self, entry: HistoryEntry) -> None:
        """Add a line to the history."""
        append_durably(self.path / "history.jsonl", msgspec.json.encode(entry))

    def write(self, name: str, record: msgspec.Struct) -> None:
        """Write one of the product's records."""
        path = self.path / name
        make_folder(path.parent)
        write_durably(path, encode_record(record))

    def _bytes(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def _read(self, name: str, kind: type[Own]) -> Own | None:
        path = self.path / name
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise _damaged(path, str(error)) from None
        except OSError as error:
            raise StoreDamagedError(
                f"{path} cannot be read: {error.strerror}", hint="Run it as the store's owner"
            ) from error

    def _signed(self, path: Path, kind: type[Own]) -> Own:
        found = self._read(str(path.relative_to(self.path)), kind)
        if found is None:
            raise _damaged(path, "it is missing")
        return found

    def _linked(self, name: str) -> Generation | None:
        link = self.path / name
        try:
            return Generation.from_folder(link.readlink().name)
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            raise _damaged(link, "it is not a link to a generation") from None


def _damaged(path: Path, why: str) -> StoreDamagedError:
    return StoreDamagedError(
        f"{path} is damaged: {why}",
        hint="Reinstall the product and enrol it again; nothing else was touched",
    )
