"""Renders templates to HTML, and serves the assets. Template variables are always escaped."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from repoint.model.printable import one_line
from repoint.page.i18n.translation import Translation

FOLDER = Path(__file__).parent
"""Holds the templates and the assets of the Settings page."""

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_YEAR = 31_536_000


class Renderer:
    """Renders pages, and holds the files that they refer to.

    Args:
        lifetime: Seconds for which a page may be used without another request. It then closes,
            because the server may have stopped, and its port may belong to another account.
        folders: Folders with templates and assets. If several have a file, the first one counts.
    """

    def __init__(self, *, lifetime: int, folders: Sequence[Path] = (FOLDER,)) -> None:
        self._assets = {
            file.name: file.read_bytes()
            for folder in reversed(folders)
            for file in (folder / "assets").iterdir()
        }
        # The digest in the address lets browsers cache a file forever.
        addresses = {
            name: f"/assets/{name}?{hashlib.sha256(content).hexdigest()[:12]}"
            for name, content in self._assets.items()
        }
        self._environment = Environment(
            loader=FileSystemLoader([folder / "templates" for folder in folders]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["outside"] = outside
        self._environment.globals["lifetime"] = lifetime
        self._environment.globals["asset"] = addresses.__getitem__

    def page(
        self, template: str, translate: Translation, status: int = 200, **variables: object
    ) -> Response:
        """Render a page in the person's language."""
        html = self._environment.get_template(template).render(t=translate, **variables)
        return HTMLResponse(html, status)

    def asset(self, name: str) -> Response | None:
        """Return an asset; None if there is no asset of that name."""
        content = self._assets.get(name)
        if content is None:
            return None
        headers = {"Cache-Control": f"public, max-age={_YEAR}, immutable"}
        return Response(content, media_type=_MEDIA_TYPES[Path(name).suffix], headers=headers)


def outside(text: str) -> Markup:
    """Return text from outside as HTML that cannot change the text around it.

    Its direction is isolated, and characters that mislead or are invisible are shown as escapes.
    """
    lines = "\n".join(one_line(line) for line in text.split("\n"))
    return Markup("<bdi>{}</bdi>").format(lines)
