"""Which names get a number. Anybody can send a report, and make up any number of names.

- A letter or a ring that a signed document names always gets one.
- Others share a room of a fixed size. Where signed documents say what there is, that room is small.
- When it is full, a ring or a version of the agent counts as none, and a letter as one of the other
  letters of its product. Where no signed document says what there is, such a letter may well be the
  vendor's own, and is refused until there is room.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from repoint.fleet.records import LetterName, SignedNames
from repoint.fleet.stores.errors import TooManyNamesError
from repoint.fleet.stores.names import Names, Subject, letter_name, other_letters
from repoint.fleet.stores.tables import letters, revisions, words
from repoint.model.report import Report

MAX_LETTERS: Final = 50_000
"""Most letters of all products together."""

MAX_OF_PRODUCT: Final = 5000
"""Most letters of one product without signed documents."""

MAX_UNSIGNED: Final = 200
"""Most letters of one product that no signed document names, if there are signed documents."""

MAX_WORDS: Final = 1000
"""Most rings without signed documents, and most versions of the agent."""

MAX_UNSIGNED_RINGS: Final = 100
"""Most rings that no signed document names, if there are signed documents."""


class NewNames:
    """The names of some reports that get a number.

    Attributes:
        letters: The letters that are new.
        words: The rings and versions of the agent that are new.
        unsigned: How many of all these no signed document names.
    """

    def __init__(self, names: Names, signed: SignedNames | None) -> None:
        self._names = names
        self._signed = signed
        self.letters: dict[LetterName, int] = {}
        self.words: dict[tuple[Subject, str], int] = {}
        self.unsigned = 0
        self._next_letter = 1 + names.last_letter
        self._room: dict[str, int] = {}
        self._words_room: dict[Subject, _Room] = {}

    def include(self, index: int, report: Report) -> None:
        """Give the names of a report their numbers.

        Raises:
            TooManyNamesError: There is no room.
        """
        if not self._names.number(name := letter_name(report)) and name not in self.letters:
            self._add_letter(index, name)
        if report.ring:
            self._add_word("ring", report.ring)
        self._add_word("agent", report.agent)

    def write(self, connection: sa.Connection) -> Names:
        """Write them to the database, and return the dictionaries with them."""
        if not self.letters and not self.words:
            return self._names
        if self.letters:
            connection.execute(
                letters.insert(),
                [{"number": number, "product": name.product, "platform": name.platform,
                  "version": name.version, "build": name.build, "letter": name.letter}
                 for name, number in self.letters.items()],
            )  # fmt: skip
        if self.words:
            connection.execute(
                words.insert(),
                [{"subject": key[0], "number": number, "word": key[1]}
                 for key, number in self.words.items()],
            )  # fmt: skip
        note_change(connection)
        return self._names.with_new(self.letters, self.words)

    def scarce_letters(self, product: str) -> list[int]:
        """Return the unsigned letters of a product if half of the room for them is taken."""
        numbers, most = self._unsigned_letters(product)
        all_letters = len(self._names.by_number)
        is_scarce = 2 * len(numbers) > most or 2 * all_letters > MAX_LETTERS
        return numbers if is_scarce else []

    def scarce_words(self, subject: Subject) -> list[int]:
        """Return the unsigned rings or versions of the agent if half of their room is taken."""
        numbers, most = self._unsigned_words(subject)
        return numbers if 2 * len(numbers) > most else []

    def _add_letter(self, index: int, name: LetterName) -> None:
        signed, product = self._signed, name.product
        if signed is None or name not in signed.letters:
            if self._has_room(product):
                self._room[product] -= 1
                self.unsigned += 1
            elif signed is not None and product in signed.products:
                name = other_letters(product)
                if self._names.number(name) or name in self.letters:
                    return
            else:
                raise TooManyNamesError(
                    f"Report {index} names a letter that is new, and there are more than any "
                    "vendor has",
                    hint="Name the repository with --repository: what it names always has room",
                    index=index,
                )
        self.letters[name] = self._next_letter
        self._next_letter += 1

    def _has_room(self, product: str) -> bool:
        if product not in self._room:
            numbers, most = self._unsigned_letters(product)
            self._room[product] = most - len(numbers)
        all_letters = len(self._names.by_number) + len(self.letters)
        return self._room[product] > 0 and all_letters < MAX_LETTERS

    def _unsigned_letters(self, product: str) -> tuple[list[int], int]:
        """Return the letters that no signed document names, and how many there may be."""
        names, signed = self._names, self._signed
        numbers = names.of(product)
        if signed is None or product not in signed.products:
            return numbers, MAX_OF_PRODUCT
        unsigned = [one for one in numbers if names.by_number[one] not in signed.letters]
        return unsigned, MAX_UNSIGNED

    def _add_word(self, subject: Subject, word: str) -> None:
        if self._names.word(subject, word) or (subject, word) in self.words:
            return
        if subject not in self._words_room:
            self._words_room[subject] = self._room_for(subject)
        room = self._words_room[subject]
        if subject != "ring" or self._signed is None or word not in self._signed.rings:
            if room.left <= 0:
                return
            room.left -= 1
            self.unsigned += 1
        number = next(each for each in itertools.count(1) if each not in room.taken)
        room.taken.add(number)
        self.words[(subject, word)] = number

    def _room_for(self, subject: Subject) -> _Room:
        numbers, most = self._unsigned_words(subject)
        return _Room(most - len(numbers), set(self._names.words(subject).values()))

    def _unsigned_words(self, subject: Subject) -> tuple[list[int], int]:
        known = self._names.words(subject)
        if subject == "agent" or self._signed is None:
            return list(known.values()), MAX_WORDS
        rings = self._signed.rings
        return [known[word] for word in known if word not in rings], MAX_UNSIGNED_RINGS


@dataclass
class _Room:
    left: int
    taken: set[int]


def note_change(connection: sa.Connection) -> None:
    """Note that the dictionaries have changed, so that every process reads them again."""
    connection.execute(revisions.update().values(number=revisions.c.number + 1))
