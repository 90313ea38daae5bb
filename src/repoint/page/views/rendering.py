"""Templates to pages. Everything that is put into a template is escaped."""

from __future__ import annotations

import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from repoint.page.i18n.words import Words

_HERE = Path(__file__).parent
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_YEAR = 31_536_000


class Renderer:
    """Makes pages, and gives out the files that they refer to."""

    def __init__(self) -> None:
        self._files = {file.name: file.read_bytes() for file in (_HERE / "assets").iterdir()}
        # With the content in its address, a file may be kept for good.
        addresses = {
            name: f"/assets/{name}?{hashlib.sha256(content).hexdigest()[:12]}"
            for name, content in self._files.items()
        }
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals["asset"] = addresses.__getitem__

    def page(self, template: str, words: Words, status: int = 200, **context: object) -> Response:
        """A page in the person's language."""
        text = self._environment.get_template(template).render(t=words, **context)
        return HTMLResponse(text, status)

    def asset(self, name: str) -> Response | None:
        """A file that pages refer to, if there is one of that name."""
        content = self._files.get(name)
        if content is None:
            return None
        headers = {"Cache-Control": f"public, max-age={_YEAR}, immutable"}
        return Response(content, media_type=_TYPES[Path(name).suffix], headers=headers)
