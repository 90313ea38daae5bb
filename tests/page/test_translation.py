"""The catalogue of texts is complete in every language, and numbers and times are formatted."""

from __future__ import annotations

import importlib
import pkgutil
import re
import string
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import pytest
from markupsafe import Markup

import repoint
from repoint.agent.overview.overview import Verdict
from repoint.agent.plan import Reason
from repoint.device.store.records import Event
from repoint.model.errors import RepointError
from repoint.page.i18n.translation import CATALOGUE, languages, translation_for
from repoint.page.jobs import Job
from repoint.page.views import panel
from repoint.page.views.pages import job_text

PAGE = Path(panel.__file__).parents[1]
FILES = (".html", ".css", ".js", ".json", ".sock", ".svg")
NOW = 1_700_000_000


def flat(table: dict[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def texts(language: str) -> dict[str, str]:
    return dict(flat(tomllib.loads((CATALOGUE / f"{language}.toml").read_text())))


def parts(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


ENGLISH = texts("en")


@pytest.mark.parametrize("language", [name for name in languages() if name != "en"])
def test_every_language_has_every_text_with_the_same_parts(language: str) -> None:
    translated = texts(language)
    plurals = {key.rpartition(".")[0] for key in ENGLISH if key.endswith(".other")}
    missing = {key for key in ENGLISH if key not in translated}
    extra = {
        key for key in translated if key not in ENGLISH and key.rpartition(".")[0] not in plurals
    }
    assert (missing, extra) == (set(), set())
    assert [key for key in ENGLISH if parts(ENGLISH[key]) != parts(translated[key])] == []


def test_every_text_that_the_page_uses_is_in_the_catalogue_and_no_other() -> None:
    sources = "".join(file.read_text() for file in [*PAGE.rglob("*.py"), *PAGE.rglob("*.html")])
    sections = "|".join({key.partition(".")[0] for key in ENGLISH})
    used = set(re.findall(rf"""["']((?:{sections})\.[a-z][a-zA-Z. ]*)["']""", sources))
    used = {key for key in used if Path(key).suffix not in FILES}
    plurals = {key.rpartition(".")[0] for key in ENGLISH if key.endswith(".other")}
    begun = {
        key for key in used if key.endswith(".") or any(k.startswith(f"{key}.") for k in ENGLISH)
    }
    assert used - set(ENGLISH) - plurals - begun == set()
    # Keys with these prefixes are composed from an event, a state or an error.
    composed = ("verdict.", "history.", "error.", "plan.", "install.", "state.", "passcode.",
            "refused.", "automatic.", "reports.on.", "reports.turn off.", "sent.word.", "exposed.", "remove.", "restart.", "check.")  # fmt: skip
    assert {key for key in ENGLISH if key not in used and not key.startswith(composed)} == set()


def test_every_verdict_event_and_reason_has_a_text() -> None:
    assert {f"verdict.{verdict}.title" for verdict in get_args(Verdict)} <= set(ENGLISH)
    assert {f"history.{event}" for event in get_args(Event)} <= set(ENGLISH)
    installing = {
        "now",
        "off",
        "unattended",
        "space",
        "retry",
        "rollout",
        "deferred",
        "window",
        "battery",
        "metered",
    }
    activating = {"now", "window", "program", "service", "session", "system"}
    assert installing | activating | {"deadline", "failed", "removed", "reopens"} == set(
        get_args(Reason)
    )
    assert {f"plan.install.{reason}" for reason in installing | {"deadline"}} <= set(ENGLISH)
    assert {f"plan.activate.{reason}" for reason in activating | {"deadline"}} <= set(ENGLISH)


def test_every_text_of_an_error_belongs_to_an_error_that_exists() -> None:
    for module in pkgutil.walk_packages(repoint.__path__, "repoint."):
        if module.name.split(".")[1] in ("host", "device", "agent", "page"):
            importlib.import_module(module.name)
    existing = {error.__name__ for error in subclasses(RepointError)}
    named = {key.removeprefix("error.") for key in ENGLISH if re.match(r"error\.[A-Z]", key)}
    assert named
    assert named - existing == set()


def subclasses(error: type[Exception]) -> Iterable[type[Exception]]:
    for below in error.__subclasses__():
        yield below
        yield from subclasses(below)


@pytest.mark.parametrize(
    ("language", "text"), [("en", "Made by Acme Corp."), ("de", "Hergestellt von Acme Corp.")]
)
def test_a_vendor_whose_name_ends_with_a_full_stop_has_one(language: str, text: str) -> None:
    assert translation_for(language)("page.vendor", vendor="Acme Corp.") == text


def test_values_in_a_text_are_escaped() -> None:
    translate = translation_for("en")
    assert translate("inforce.withdrawn", why="<b>") == Markup(
        "The maker has withdrawn this improvement: &lt;b&gt;"
    )
    assert translate.enumeration(["<i>", "b"]) == Markup("&lt;i&gt; and b")


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr,de;q=0.5", "de"),
        ("en-GB,de;q=0.9", "en"),
        ("de;q=0.1,en;q=0.2", "en"),
        ("tlh", "en"),
        ("", "en"),
        ("de;q=nonsense,,;;,*", "en"),
        ("../../etc/passwd", "en"),
        ("de-" + "x" * 5000, "de"),
    ],
)
def test_the_language_is_the_one_that_the_browser_prefers(accepted: str, language: str) -> None:
    assert translation_for(accepted).language == language


@pytest.mark.parametrize(
    ("count", "english", "german"),
    [
        (0, "0 B", "0 B"),
        (999, "999 B", "999 B"),
        (1000, "1.00 kB", "1,00 kB"),
        (13_849, "13.8 kB", "13,8 kB"),
        (281_400, "281 kB", "281 kB"),
        (999_600, "1.00 MB", "1,00 MB"),
        (3_420_000_000, "3.42 GB", "3,42 GB"),
    ],
)
def test_sizes_have_three_digits(count: int, english: str, german: str) -> None:
    assert translation_for("en").size(count) == english.replace(" ", "\N{NO-BREAK SPACE}")
    assert translation_for("de").size(count) == german.replace(" ", "\N{NO-BREAK SPACE}")


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (3 * 3600, "3 hours ago"),
        (-5, "Nov 14, 2023, 10:13\N{NARROW NO-BREAK SPACE}PM"),
        (90 * 86400, "Aug 16, 2023, 10:13\N{NARROW NO-BREAK SPACE}PM"),
    ],
)
def test_recent_moments_are_relative_and_others_have_a_date(
    monkeypatch: pytest.MonkeyPatch, age: int, expected: str
) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert translation_for("en-US").ago(NOW - age, NOW) == expected
    monkeypatch.undo()
    time.tzset()


def test_a_download_shows_bytes_once_its_size_is_known() -> None:
    job = Job("install", "acme")
    shown = []
    for done, total in ((0, 0), (0, 5_000), (2_000, 5_000)):
        job.report("download", done, total)
        shown.append(job_text(translation_for("en"), job).replace("\N{NO-BREAK SPACE}", " "))
    assert shown == ["Starting…", "Downloading: 0 B of 5.00 kB", "Downloading: 2.00 kB of 5.00 kB"]
