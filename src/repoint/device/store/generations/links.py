"""The links that say which generation is active, which is staged, and which was active before."""

from __future__ import annotations

from pathlib import Path

from repoint.device.store.files import damaged
from repoint.device.store.records import Generation
from repoint.fs.durable import point_link


class Links:
    """The three links of a product. Each is replaced by one atomic rename."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def active_path(self) -> Path:
        """The link that decides which trees run; graft points lead through it."""
        return self._folder / "active"

    def active(self) -> Generation | None:
        """Return the active generation, or None while the enrolment is not finished."""
        return self._target("active")

    def staged(self) -> Generation | None:
        """Return the generation that waits for a restart, or None."""
        staged = self._target("staged")
        return None if staged == self.active() else staged

    def previous(self) -> Generation | None:
        """Return the generation to roll back to, or None."""
        return self._target("previous")

    def point_active(self, generation: Generation) -> None:
        """Make a generation the active one. This rename is the commit point of activation."""
        self._point("active", generation)

    def point_staged(self, generation: Generation) -> None:
        """Stage a generation. This rename is the commit point of staging."""
        self._point("staged", generation)

    def point_previous(self, generation: Generation) -> None:
        """Set the generation to roll back to."""
        self._point("previous", generation)

    def clear_staged(self) -> None:
        """Clear the staged generation."""
        (self._folder / "staged").unlink(missing_ok=True)

    def clear_previous(self) -> None:
        """Clear the previous generation; a rollback then returns to the baseline."""
        (self._folder / "previous").unlink(missing_ok=True)

    def _point(self, name: str, generation: Generation) -> None:
        point_link(self._folder / name, f"generations/{generation.folder}")

    def _target(self, name: str) -> Generation | None:
        link = self._folder / name
        try:
            return Generation.from_folder(link.readlink().name)
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            raise damaged(link, "it is not a link to a generation") from None
