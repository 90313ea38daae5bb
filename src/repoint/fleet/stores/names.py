"""The dictionaries: numbers for the names that many reports share."""

from __future__ import annotations

from collections import defaultdict
from typing import Final, Literal

import sqlalchemy as sa

from repoint.fleet.records import LetterName
from repoint.fleet.stores.tables import letters, revisions, words
from repoint.model.report import Report

Subject = Literal["ring", "agent"]

_OTHER: Final = "other"


class Names:
    """The dictionaries, as one transaction sees them. They do not change.

    Attributes:
        by_number: The letter with each number.
        last_letter: The largest of these numbers; 0 for none.
        revision: Grows with each change of the dictionaries; -1 for none that were read.
    """

    def __init__(
        self,
        of_letters: dict[LetterName, int],
        of_words: dict[tuple[Subject, str], int],
        revision: int = -1,
    ) -> None:
        self.revision = revision
        self._letters = of_letters
        self._words = of_words
        self.by_number = {number: name for name, number in of_letters.items()}
        self.last_letter = max(self.by_number, default=0)
        self._words_by_number = {(key[0], number): key[1] for key, number in of_words.items()}
        self._products: dict[str, list[int]] = defaultdict(list)
        self._baselines: dict[LetterName, list[int]] = defaultdict(list)
        for name, number in of_letters.items():
            self._products[name.product].append(number)
            self._baselines[_baseline(name)].append(number)
        for line in self._baselines.values():
            line.sort(key=self._order)

    @classmethod
    def read(cls, connection: sa.Connection) -> Names:
        """Read the dictionaries."""
        revision = connection.scalar(sa.select(revisions.c.number)) or 0
        return cls(
            {LetterName(*row[1:]): row[0] for row in connection.execute(sa.select(letters))},
            {(row[0], row[2]): row[1] for row in connection.execute(sa.select(words))},
            revision,
        )

    def with_new(
        self, of_letters: dict[LetterName, int], of_words: dict[tuple[Subject, str], int]
    ) -> Names:
        """Return the dictionaries with some more names."""
        return Names(self._letters | of_letters, self._words | of_words, self.revision + 1)

    def knows(self, report: Report) -> bool:
        """Return whether all names of a report have numbers."""
        return (
            letter_name(report) in self._letters
            and (not report.ring or ("ring", report.ring) in self._words)
            and ("agent", report.agent) in self._words
        )

    def letter(self, report: Report) -> int:
        """Return the number of the letter of a report, or of the other letters of its product."""
        name = letter_name(report)
        return self._letters.get(name) or self._letters[other_letters(report.product)]

    def number(self, name: LetterName) -> int:
        """Return the number of a letter; 0 if it has none."""
        return self._letters.get(name, 0)

    def word(self, subject: Subject, word: str) -> int:
        """Return the number of a ring or a version of the agent; 0 if it has none."""
        return self._words.get((subject, word), 0)

    def word_of(self, subject: Subject, number: int) -> str:
        """Return the ring or the version of the agent with a number."""
        return self._words_by_number.get((subject, number), "")

    def words(self, subject: Subject) -> dict[str, int]:
        """Return the numbers of all rings or versions of the agent."""
        return {key[1]: number for key, number in self._words.items() if key[0] == subject}

    def rings(self) -> list[int]:
        """Return the numbers of all rings, and 0 for none."""
        return [0, *self.words("ring").values()]

    def products(self) -> list[str]:
        """Return the names of all products, in order."""
        return sorted(self._products)

    def of(self, product: str) -> list[int]:
        """Return the numbers of the letters of a product."""
        return self._products.get(product, [])

    def line(self, letter: int) -> list[int]:
        """Return the numbers of the letters of the same baseline, in their order."""
        return self._baselines[_baseline(self.by_number[letter])]

    def _order(self, number: int) -> tuple[int, str]:
        letter = self.by_number[number].letter
        return len(letter), letter


def letter_name(report: Report) -> LetterName:
    """Return the letter of a report."""
    name = report.baseline
    return LetterName(report.product, name.platform, name.version, name.build, report.letter)


def other_letters(product: str) -> LetterName:
    """Return the name under which letters of a product are counted that get none of their own."""
    return LetterName(product, _OTHER, _OTHER, _OTHER, "")


def _baseline(name: LetterName) -> LetterName:
    return LetterName(name.product, name.platform, name.version, name.build, "")
