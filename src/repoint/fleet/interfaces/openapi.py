"""The description of the JSON API in OpenAPI 3.1, made of the records that it returns."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from repoint import __version__
from repoint.fleet.advisories.exposure import Exposure
from repoint.fleet.records import Adoption, DeviceState, FailureGroup, Outcome


class Problem(msgspec.Struct, frozen=True):
    """Why a request was not answered."""

    error: str


RECORDS: Final[dict[str, tuple[type[msgspec.Struct], str]]] = {
    "outcomes": (Outcome, "What became of each letter, by platform and ring."),
    "adoption": (Adoption, "The devices that had each letter in force, by the hour."),
    "failures": (FailureGroup, "The failures of each letter by kind, the largest group first."),
    "exposure": (Exposure, "The devices that were exposed to each CVE, by the hour."),
}
"""What there is about a product: the record of one line, and what it says."""

_PRODUCT: Final = {
    "name": "product", "in": "path", "required": True, "schema": {"type": "string"},
    "description": "A product of which there are reports.",
}  # fmt: skip
_SINCE: Final = {
    "name": "since", "in": "query",
    "schema": {"type": "integer", "minimum": 0, "maximum": 2**40, "default": 0},
    "description": "Only what was staged, or had letters in force, since this time, in seconds "
    "since 1970.",
}  # fmt: skip
_OFFSET: Final = {
    "name": "offset", "in": "query",
    "schema": {"type": "integer", "minimum": 0, "maximum": 2**40, "default": 0},
    "description": "Lines to leave out, as the header `Link` of an answer says; a list by the hour "
    "goes on with since.",
}  # fmt: skip
_LINK: Final = {
    "description": 'Where the lines that follow are, with rel="next", if there are more.',
    "schema": {"type": "string"},
}
_FORMAT: Final = {
    "name": "format", "in": "query",
    "schema": {"type": "string", "enum": ["json", "csv"], "default": "json"},
    "description": "The form of the answer.",
}  # fmt: skip
_ID: Final = {
    "name": "id", "in": "path", "required": True,
    "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "description": "The id of a device, or of a letter on a device.",
}  # fmt: skip


def document(*, needs_token: bool) -> dict[str, Any]:
    """Return the description.

    Args:
        needs_token: Whether each request has to carry a token.
    """
    records = [record for record, _ in RECORDS.values()]
    _, components = msgspec.json.schema_components(
        [*records, DeviceState, Problem], ref_template="#/components/schemas/{name}"
    )
    paths: dict[str, Any] = {
        "/api/v1/products": {
            "get": _get("products", "The products of which there are reports.", [],
                        {"type": "array", "items": {"type": "string"}})
        },
        "/api/v1/ids/{id}": {
            "get": _get("find", "What is known of an id.", [_ID], _list_of("DeviceState"),
                        "400", "404")
        },
    }  # fmt: skip
    for name, (record, text) in RECORDS.items():
        paths[f"/api/v1/products/{{product}}/{name}"] = {
            "get": _get(name, text, [_PRODUCT, _SINCE, _OFFSET, _FORMAT], _list_of(record.__name__),
                        "400", "404", csv=True)
        }  # fmt: skip
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Repoint fleet",
            "version": __version__,
            "description": "Who runs what, and who is exposed. All answers come from roll-ups.",
        },
        "paths": paths,
        "components": {"schemas": components},
    }
    if not needs_token:
        for path in paths.values():
            path["get"]["responses"]["421"] = _problem("The host is a name, and no address.")
    else:
        made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"token": []}]
        for path in paths.values():
            path["get"]["responses"]["401"] = _problem("The token is missing or wrong.")
    return made


_PROBLEMS: Final = {
    "400": "A parameter is not as described.",
    "404": "There are no reports of that.",
}


def _get(
    name: str, text: str, parameters: list[dict[str, Any]], schema: dict[str, Any], *problems: str,
    csv: bool = False,
) -> dict[str, Any]:  # fmt: skip
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if csv:
        content["text/csv"] = {"schema": {"type": "string"}}
    responses: dict[str, Any] = {"200": {"description": text, "content": content}}
    if csv:
        responses["200"]["headers"] = {"Link": _LINK}
    responses |= {status: _problem(_PROBLEMS[status]) for status in problems}
    responses["503"] = _problem("The database does not answer.")
    return {"operationId": name, "summary": text, "parameters": parameters, "responses": responses}


def _list_of(name: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


def _problem(text: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": text, "content": {"application/json": {"schema": schema}}}
