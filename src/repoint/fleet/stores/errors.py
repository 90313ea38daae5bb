"""What goes wrong with a fleet's database."""

from __future__ import annotations

from repoint.model.errors import RepointError


class FleetStoreError(RepointError):
    """The base of the errors of a fleet's database."""


class DatabaseAddressError(FleetStoreError):
    """The address names no database that a fleet can use."""


class DatabaseAwayError(FleetStoreError):
    """The database does not answer, is full or was restarted; a later attempt may succeed.

    Nothing of the transaction has happened, unless it is the answer to the commit that was lost.
    """


class DatabaseTooNewError(FleetStoreError):
    """A newer version of Repoint has changed the tables of the database."""


class TooManyNamesError(FleetStoreError):
    """The reports name new letters, and there are more than any vendor has.

    Attributes:
        index: The report with the first name that is too many.
    """

    def __init__(self, message: str, *, hint: str, index: int) -> None:
        super().__init__(message, hint=hint)
        self.index = index


class TooManyDeletionsError(FleetStoreError):
    """The store of events has to forget so many ids that unknown ones have to wait."""
