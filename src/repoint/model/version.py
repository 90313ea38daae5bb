"""Versions, letters and labels, and their order.

Version strings are compared as Debian compares its own (deb-version(7)): digits by value,
everything else by character, ``~`` before the end. This is a total order that agrees with
intuition for dotted numbers, build names such as ``25D2128`` and pre-releases such as ``4.0~rc1``.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from repoint.model.errors import NameNotAllowedError

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+~_]{0,62}")
_LETTER = re.compile(r"[a-z]{1,3}")
_LABEL = re.compile(r"(\S+) ?\(([a-z]+)\)")


@functools.total_ordering
class _Ordered:
    """A string with its own order, equal only to the same string of the same type."""

    __slots__ = ("_key", "text")

    def __init__(self, text: str, key: tuple[Any, ...]) -> None:
        self.text = text
        self._key = key

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.text == self.text

    def __lt__(self, other: _Ordered) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return (self._key, self.text) < (other._key, other.text)

    def __hash__(self) -> int:
        return hash((type(self), self.text))

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text!r})"


class Version(_Ordered):
    """The version or the build of a product, in Debian's order."""

    def __init__(self, text: str) -> None:
        if not _VERSION.fullmatch(text):
            raise NameNotAllowedError(
                f"{text[:60]!r} is not a version or build",
                hint="Use digits, letters and . + ~ _, as in 26.3.1 or 25D2128",
            )
        super().__init__(text, _version_key(text))


class Letter(_Ordered):
    """An improvement's letter: ``a`` to ``z``, then ``aa``, ``ab`` and so on."""

    def __init__(self, text: str) -> None:
        if not _LETTER.fullmatch(text):
            raise NameNotAllowedError(
                f"{text[:60]!r} is not a letter of an improvement",
                hint="Use a to z, then aa, ab, …",
            )
        super().__init__(text, (len(text), text))

    def next(self) -> Letter:
        """Return the letter after this one."""
        head, last = self.text[:-1], self.text[-1]
        if last != "z":
            return Letter(head + chr(ord(last) + 1))
        return Letter(Letter(head).next().text + "a" if head else "aa")


def label(version: str, letter: str) -> str:
    """Return the label of an improvement, ``26.3.1 (a)``, or the version if there is no letter."""
    return f"{version} ({letter})" if letter else version


def has_letter(text: str) -> bool:
    """Return whether a label names an improvement rather than a baseline."""
    return text.endswith(")")


def parse_label(text: str) -> tuple[str, str]:
    """Split ``26.3.1 (a)`` into version and letter.

    Raises:
        NameNotAllowedError: The text is not such a label.
    """
    match = _LABEL.fullmatch(text.strip())
    if match is None:
        raise NameNotAllowedError(
            f"{text[:60]!r} is not the label of an improvement", hint='Write it as "26.3.1 (a)"'
        )
    return Version(match[1]).text, Letter(match[2]).text


@functools.lru_cache(maxsize=4096)  # a collector of reports reads the same ones all day
def _version_key(text: str) -> tuple[Any, ...]:
    # Pairs of (non-digits, number), so that a string and a number are never compared.
    parts = re.findall(r"([^0-9]*)([0-9]*)", text)
    return tuple((_text_key(words), int(digits or 0)) for words, digits in parts)


def _text_key(words: str) -> tuple[int, ...]:
    # deb-version(7): "~" sorts before the end of a part, letters before all other characters.
    order = [-1 if c == "~" else ord(c) if c.isalpha() else ord(c) + 256 for c in words]
    return (*order, 0)
