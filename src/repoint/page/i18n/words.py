"""The page's texts in the person's language, and how figures and times are written in it.

``texts/`` is the catalogue: one file a language, named by it. To add a language, translate a file;
a test tells what is missing. Dates, numbers, lists and plurals are Babel's.
"""

from __future__ import annotations

import datetime
import functools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from babel import Locale
from babel.core import UnknownLocaleError
from babel.dates import format_date, format_time, format_timedelta
from babel.lists import format_list
from babel.numbers import format_decimal
from markupsafe import Markup, escape

CATALOGUE = Path(__file__).with_name("texts")
DEFAULT = "en"

_RECENT = 36 * 3600
"""Seconds for which "3 hours ago" says more than a date."""


@dataclass(frozen=True)
class Words:
    """One language.

    Attributes:
        language: The catalogue's name for it, such as ``en``.
        locale: The person's own variant of it, such as British English.
        texts: All texts by their keys.
    """

    language: str
    locale: Locale
    texts: Mapping[str, str]

    def __call__(self, key: str, /, **parts: object) -> Markup:
        """The text of a key as HTML. What is put into it is escaped, unless it is markup."""
        return escape(self.texts[key]).format(**parts)

    def counted(self, key: str, number: int, /, **parts: object) -> Markup:
        """The text of a key for so many of something: ``key.one``, ``key.other``."""
        form = self.locale.plural_form(number)
        chosen = f"{key}.{form}" if f"{key}.{form}" in self.texts else f"{key}.other"
        return self(chosen, number=format_decimal(number, locale=self.locale), **parts)

    def has(self, key: str) -> bool:
        """Whether the catalogue has the key."""
        return key in self.texts

    def size(self, count: int) -> str:
        """Bytes, in powers of ten with three digits: 412 B, 13.8 kB, 3.42 MB."""
        scale, unit = next(
            ((s, u) for s, u in ((1, "B"), (1e3, "kB"), (1e6, "MB")) if count < s * 999.5),
            (1e9, "GB"),
        )
        value = count / scale
        digits = 0 if unit == "B" or value >= 100 else 1 if value >= 10 else 2
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return f"{format_decimal(value, pattern, locale=self.locale)}\N{NO-BREAK SPACE}{unit}"

    def moment(self, when: int) -> str:
        """A date and time of this machine."""
        local = _local(when)
        day = format_date(local, "medium", locale=self.locale)
        hour = format_time(local, "short", local.tzinfo, locale=self.locale)
        return str(self("when.moment", day=day, time=hour))

    def time(self, when: int, now: float) -> str:
        """A moment that is to come: today only the time, else with the day."""
        local, today = _local(when), _local(int(now)).date()
        hour = format_time(local, "short", local.tzinfo, locale=self.locale)
        if local.date() == today:
            return str(self("when.today", time=hour))
        if local.date() == today + datetime.timedelta(days=1):
            return str(self("when.tomorrow", time=hour))
        day = format_date(local, "full", locale=self.locale)
        return str(self("when.day", day=day, time=hour))

    def ago(self, when: int, now: float) -> str:
        """How long ago, where that is recent; else the moment."""
        age = int(now) - when
        if 0 <= age < 60:
            return str(self("when.just now"))
        if 0 <= age < _RECENT:
            return format_timedelta(-age, add_direction=True, locale=self.locale)
        return self.moment(when)

    def span(self, seconds: int) -> str:
        """How long: 40 seconds, 5 minutes."""
        return format_timedelta(seconds, threshold=1.5, locale=self.locale)

    def all_of(self, items: Iterable[object]) -> Markup:
        """A list in a sentence: a, b and c."""
        escaped = [str(escape(item)) for item in items]
        return Markup(format_list(escaped, locale=self.locale))  # noqa: S704  # each is escaped


def words_for(accepted: str) -> Words:
    """The language that a browser prefers, of those in the catalogue.

    Args:
        accepted: The header Accept-Language (RFC 9110, 12.5.4).
    """
    for tag in _preferred(accepted):
        language = tag.partition("-")[0].lower()
        if language in languages():
            return _words(language, tag)
    return _words(DEFAULT, DEFAULT)


@functools.cache
def languages() -> tuple[str, ...]:
    """The languages of the catalogue."""
    return tuple(sorted(file.stem for file in CATALOGUE.glob("*.toml")))


@functools.lru_cache(64)
def _words(language: str, tag: str) -> Words:
    try:
        locale = Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError):
        locale = Locale(language)
    with (CATALOGUE / f"{language}.toml").open("rb") as file:
        return Words(language, locale, dict(_flat(tomllib.load(file))))


def _flat(table: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _preferred(accepted: str) -> list[str]:
    weighted = []
    for part in accepted[:500].split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighted.append((-float(weight or 1), tag.strip()))
        except ValueError:
            continue
    return [tag for _, tag in sorted(weighted, key=lambda pair: pair[0])]


def _local(when: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(when).astimezone()
