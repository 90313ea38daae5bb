"""The page's texts in the reader's language, with numbers, dates and lists formatted for it.

``texts/`` is the catalogue: one TOML file per language, named by its language code. To add a
language, translate one of the files; a test reports what is missing. Babel (Unicode CLDR) formats
dates, numbers and lists, and selects plural forms.
"""

from __future__ import annotations

import datetime
import functools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from babel import Locale
from babel.core import UnknownLocaleError
from babel.dates import format_date, format_time, format_timedelta
from babel.lists import format_list
from babel.numbers import format_decimal, format_percent
from markupsafe import Markup, escape

CATALOGUE = Path(__file__).with_name("texts")
DEFAULT = "en"

_RECENT = 36 * 3600
"""Seconds for which "3 hours ago" says more than a date."""

_LONGEST_HEADER = 500
"""Characters of Accept-Language that are read."""


@dataclass(frozen=True)
class Translation:
    """One language.

    Attributes:
        language: The language code of the catalogue file, such as ``en``.
        locale: The reader's regional variant, such as British English.
        texts: All texts by key.
    """

    language: str
    locale: Locale
    texts: Mapping[str, str]

    def __call__(self, key: str, /, **values: object) -> Markup:
        """Return a text as HTML. Values are escaped unless they are already markup."""
        return escape(self.texts[key]).format(**values)

    def plural(self, key: str, number: int, /, **values: object) -> Markup:
        """Return the form of a text for a number: ``key.one``, ``key.other``."""
        form = self.locale.plural_form(number)
        chosen = f"{key}.{form}" if f"{key}.{form}" in self.texts else f"{key}.other"
        return self(chosen, number=format_decimal(number, locale=self.locale), **values)

    def has(self, key: str) -> bool:
        """Return whether the catalogue has a text for the key."""
        return key in self.texts

    def size(self, count: int) -> str:
        """Format bytes in powers of ten with three digits: 412 B, 13.8 kB, 3.42 MB."""
        scale, unit = next(
            ((s, u) for s, u in ((1, "B"), (1e3, "kB"), (1e6, "MB")) if count < s * 999.5),
            (1e9, "GB"),
        )
        value = count / scale
        digits = 0 if unit == "B" or value >= 100 else 1 if value >= 10 else 2
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return f"{format_decimal(value, pattern, locale=self.locale)}\N{NO-BREAK SPACE}{unit}"

    def number(self, value: float) -> str:
        """Format a number: 9,987,412."""
        return format_decimal(round(value), locale=self.locale)

    def percent(self, value: float) -> str:
        """Format a number of percent with at most three digits that count: 0.25%, 12.5%, 100%."""
        # Only everything is 100 %.
        shown = min(round(value, 2 if value < 10 else 1), 99.9) if value < 100 else 100
        exact = Decimal(str(shown)) / 100
        return format_percent(exact, decimal_quantization=False, locale=self.locale)

    def date(self, when: int) -> str:
        """Format the day of a moment in this machine's time zone."""
        return format_date(_local(when), "medium", locale=self.locale)

    def date_and_time(self, when: int) -> str:
        """Format a moment in this machine's time zone."""
        local = _local(when)
        day = format_date(local, "medium", locale=self.locale)
        return str(self("when.moment", day=day, time=self._time_of_day(local)))

    def upcoming(self, when: int, now: float) -> str:
        """Format a moment in the future: the time alone for today, otherwise with the day."""
        local, today = _local(when), _local(int(now)).date()
        hour = self._time_of_day(local)
        if local.date() == today:
            return str(self("when.today", time=hour))
        if local.date() == today + datetime.timedelta(days=1):
            return str(self("when.tomorrow", time=hour))
        day = format_date(local, "full", locale=self.locale)
        return str(self("when.day", day=day, time=hour))

    def ago(self, when: int, now: float) -> str:
        """Format a moment in the past: relative if it is recent, otherwise as date and time."""
        age = int(now) - when
        if 0 <= age < 60:
            return str(self("when.just now"))
        if 0 <= age < _RECENT:
            return format_timedelta(-age, add_direction=True, locale=self.locale)
        return self.date_and_time(when)

    def duration(self, seconds: int) -> str:
        """Format a duration: 40 seconds, 5 minutes."""
        return format_timedelta(seconds, threshold=1.5, locale=self.locale)

    def enumeration(self, items: Iterable[object]) -> Markup:
        """Format a list inside a sentence: a, b and c."""
        escaped = [str(escape(item)) for item in items]
        return Markup(format_list(escaped, locale=self.locale))  # noqa: S704  # items are escaped

    def _time_of_day(self, local: datetime.datetime) -> str:
        return format_time(local, "short", local.tzinfo, locale=self.locale)


def translation_for(accept_language: str, catalogue: Path = CATALOGUE) -> Translation:
    """Return the translation that a browser prefers, or the default one.

    Args:
        accept_language: The value of the header Accept-Language (RFC 9110, section 12.5.4).
        catalogue: The folder of the texts.
    """
    for tag in _by_preference(accept_language):
        language = tag.partition("-")[0].lower()
        if language in languages(catalogue):
            return _load(catalogue, language, tag)
    return _load(catalogue, DEFAULT, DEFAULT)


@functools.cache
def languages(catalogue: Path = CATALOGUE) -> tuple[str, ...]:
    """Return the language codes of a catalogue."""
    return tuple(sorted(file.stem for file in catalogue.glob("*.toml")))


# The key comes from the browser, so the cache has a bound.
@functools.lru_cache(64)
def _load(catalogue: Path, language: str, tag: str) -> Translation:
    try:
        locale = Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError):
        locale = Locale(language)
    with (catalogue / f"{language}.toml").open("rb") as file:
        return Translation(language, locale, dict(_flatten(tomllib.load(file))))


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _by_preference(accept_language: str) -> list[str]:
    weighted = []
    for part in accept_language[:_LONGEST_HEADER].split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighted.append((-float(weight or 1), tag.strip()))
        except ValueError:
            continue
    return [tag for _, tag in sorted(weighted, key=lambda pair: pair[0])]


def _local(when: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(when).astimezone()
