"""The templates can show everything that an overview can say."""

from __future__ import annotations

import re
from typing import Any, get_args

from repoint.agent.overview.overview import Verdict
from repoint.page.views import rendering
from repoint.page.views.rendering import Renderer

TEMPLATES = rendering.FOLDER / "templates"


def parts() -> Any:
    return Renderer(lifetime=540)._environment.get_template("parts.html").module


def test_every_verdict_has_a_color_and_an_emblem() -> None:
    for verdict in get_args(Verdict):
        assert parts().tones[verdict] in ("good", "warn", "bad", "calm")
        assert "<path" in parts().icon(parts().emblems[verdict]), verdict


def test_every_icon_that_a_template_names_exists() -> None:
    sources = "".join(file.read_text() for file in TEMPLATES.glob("*.html"))
    names = set(re.findall(r'icon\("(\w+)"', sources))
    assert {"lock", "check", "app"} <= names
    assert [
        name for name in names if "<" not in str(parts().icon(name)).partition(">")[2][:-6]
    ] == []


def test_assets_have_addresses_that_change_with_their_content() -> None:
    renderer = Renderer(lifetime=540)
    address = renderer._environment.globals["asset"]("page.css")  # type: ignore[operator]
    assert re.fullmatch(r"/assets/page\.css\?[0-9a-f]{12}", address)
    response = renderer.asset("page.css")
    assert response is not None
    assert "immutable" in response.headers["Cache-Control"]
    assert renderer.asset("../rendering.py") is None
