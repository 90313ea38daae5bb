"""Show the page to nobody, so that nobody waits for its first view.

What a view needs is read once before the page is announced, and again and again: figures that
nobody has looked at for some minutes would be read anew while a person waits.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Final

from repoint.fleet.page.auth.sessions import Session
from repoint.fleet.page.i18n import CATALOGUE
from repoint.fleet.page.recent import STALE
from repoint.fleet.page.state import PageState
from repoint.fleet.page.views import fleet
from repoint.fleet.page.views.context import Context
from repoint.page.auth.sessions import Secrets
from repoint.page.i18n.translation import translation_for
from repoint.page.views.rendering import Renderer

LANGUAGES: Final = ("en", "de")
_EVERY: Final = STALE / 3
"""Seconds between two rounds: figures never become so old that they are not shown."""

_PATIENCE: Final = 5.0
"""Seconds that the page waits for the first round. A slow database must not keep it away."""

_MOST: Final = 10
"""Products that are kept warm. A vendor with more opens most of them rarely."""

_NOBODY: Final = Session("", "operator", 0, "account")


class Warming(threading.Thread):
    """A thread that keeps the figures of a page fresh until the process ends.

    Args:
        page: The state of the page.
        renderer: The renderer of the page.
        every: Seconds between two rounds.
    """

    def __init__(self, page: PageState, renderer: Renderer, every: float = _EVERY) -> None:
        super().__init__(name="warming", daemon=True)
        self._page = page
        self._renderer = renderer
        self._every = every
        self._first = threading.Event()

    def start_and_wait(self, seconds: float = _PATIENCE) -> None:
        """Start, and wait for the first round, but not longer than some seconds."""
        self.start()
        self._first.wait(seconds)

    def run(self) -> None:
        """Work until the process ends."""
        pause = threading.Event()
        languages: tuple[str, ...] = LANGUAGES
        while True:
            # What fails here fails again when a person looks, and is said there.
            with contextlib.suppress(Exception):
                self.show(languages)
            self._first.set()
            languages = LANGUAGES[:1]  # the figures are the same in all
            pause.wait(self._every)

    def show(self, languages: tuple[str, ...]) -> None:
        """Show the first pages in some languages, once."""
        for language in languages:
            fleet.products(self._context(language, ""))
            for product in self._page.products()[:_MOST]:
                fleet.product(self._context(language, product))

    def _context(self, language: str, product: str) -> Context:
        return Context(
            self._page, self._renderer, _NOBODY, Secrets("", ""),
            translation_for(language, CATALOGUE), {"product": product}, {}, {},
        )  # fmt: skip
