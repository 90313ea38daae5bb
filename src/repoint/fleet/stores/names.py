"""The dictionaries: numbers for the names that many reports share."""

from __future__ import annotations

from typing import Final, Literal

import sqlalchemy as sa

from repoint.fleet.records import LetterName
from repoint.fleet.stores.errors import TooManyNamesError
from repoint.fleet.stores.tables import letters, words
from repoint.model.report import Report

Subject = Literal["ring", "agent"]

MAX_LETTERS: Final = 50_000
"""The most letters of all products together. Forged reports could name any number."""

MAX_WORDS: Final = 1000
"""Rings and versions of the agent, each."""


class Names:
    """The dictionaries, as one transaction sees them.

    A name that is new gets its number in the database at once, and stays here only if the
    transaction is committed: make a copy for each one.
    """

    def __init__(
        self, of_letters: dict[LetterName, int], of_words: dict[tuple[Subject, str], int]
    ) -> None:
        self._letters = of_letters
        self._words = of_words
        self.by_number = {number: name for name, number in of_letters.items()}
        self._words_by_number = {(key[0], number): key[1] for key, number in of_words.items()}

    @classmethod
    def read(cls, connection: sa.Connection) -> Names:
        """Read the dictionaries."""
        return cls(
            {LetterName(*row[1:]): row[0] for row in connection.execute(sa.select(letters))},
            {(row[0], row[2]): row[1] for row in connection.execute(sa.select(words))},
        )

    def count(self) -> tuple[int, int]:
        """Return how many letters and words there are: others may have added some."""
        return len(self._letters), len(self._words)

    def knows(self, report: Report) -> bool:
        """Return whether all names of a report have numbers."""
        return (
            letter_name(report) in self._letters
            and (not report.ring or ("ring", report.ring) in self._words)
            and ("agent", report.agent) in self._words
        )

    def letter(self, report: Report) -> int:
        """Return the number of the letter of a report."""
        return self._letters[letter_name(report)]

    def word(self, subject: Subject, word: str) -> int:
        """Return the number of a ring or a version of the agent; 0 if it has none."""
        return self._words.get((subject, word), 0)

    def word_of(self, subject: Subject, number: int) -> str:
        """Return the ring or the version of the agent with a number."""
        return self._words_by_number.get((subject, number), "")

    def rings(self) -> list[int]:
        """Return the numbers of all rings, and 0 for none."""
        return [0, *(number for (subject, _), number in self._words.items() if subject == "ring")]

    def products(self) -> list[str]:
        """Return the names of all products, in order."""
        return sorted({name.product for name in self._letters})

    def siblings(self, letter: int) -> list[int]:
        """Return the numbers of the earlier letters of the same baseline."""
        own = self.by_number[letter]
        order = (len(own.letter), own.letter)
        return [
            number
            for name, number in self._letters.items()
            if (name.product, name.platform, name.version, name.build)
            == (own.product, own.platform, own.version, own.build)
            and (len(name.letter), name.letter) < order
        ]

    def add(self, connection: sa.Connection, reports: list[Report]) -> Names:
        """Return the dictionaries with the names of some reports.

        Raises:
            TooManyNamesError: There would be too many.
        """
        of_letters, of_words = dict(self._letters), dict(self._words)
        for index, report in enumerate(reports):
            name = letter_name(report)
            if name not in of_letters:
                _require_room(len(of_letters) < MAX_LETTERS, index)
                of_letters[name] = 1 + max(of_letters.values(), default=0)
                connection.execute(
                    letters.insert().values(
                        number=of_letters[name],
                        product=name.product,
                        platform=name.platform,
                        version=name.version,
                        build=name.build,
                        letter=name.letter,
                    )
                )
            if report.ring:
                _require_room(_add_word(connection, of_words, "ring", report.ring), index, "a ring")
            _add_word(connection, of_words, "agent", report.agent)
        return Names(of_letters, of_words)


def letter_name(report: Report) -> LetterName:
    """Return the letter of a report."""
    name = report.baseline
    return LetterName(report.product, name.platform, name.version, name.build, report.letter)


def _add_word(
    connection: sa.Connection,
    of_words: dict[tuple[Subject, str], int],
    subject: Subject,
    word: str,
) -> bool:
    """Give a word a number, and return whether it has one."""
    if (subject, word) in of_words:
        return True
    taken = [number for key, number in of_words.items() if key[0] == subject]
    if len(taken) >= MAX_WORDS:
        return False
    number = 1 + max(taken, default=0)
    connection.execute(words.insert().values(subject=subject, number=number, word=word))
    of_words[(subject, word)] = number
    return True


def _require_room(there_is: bool, index: int, what: str = "a letter") -> None:
    if not there_is:
        raise TooManyNamesError(
            f"Report {index} names {what} that is new, and there are more than any vendor has",
            hint="Name the products of the fleet, so that reports of others are refused",
            index=index,
        )
