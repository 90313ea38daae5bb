"""The public interface: its names exist, are documented, and cost nothing until they are used."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

import repoint

NAMES = [name for name in repoint.__all__ if name != "__version__"]


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_exists_and_is_documented(name: str) -> None:
    value = getattr(repoint, name)
    assert value.__name__ == name
    doc = value.__dict__.get("__doc__") if inspect.isclass(value) else value.__doc__
    assert doc, f"{name} has no docstring"
    # The generated ones of dataclasses and records repeat the signature.
    assert not doc.startswith(f"{name}("), f"{name} has no docstring of its own"


@pytest.mark.parametrize("name", ["Device", "BootTasks", "Preferences", "Repository", "Publisher"])
def test_every_public_method_is_documented(name: str) -> None:
    for method, value in vars(getattr(repoint, name)).items():
        if not method.startswith("_") and (callable(value) or isinstance(value, property)):
            assert value.__doc__, f"{name}.{method} has no docstring"


# The constructors of parts are for `Device`; the others are words that a reader of a hint knows.
PRIVATE = {"Transactions", "Store", "ProductState", "Version", "Troubles"}
ALIASES = {"Passphrases", "Progress", "RestartScope", "Urgency", "Key"}


def test_the_types_of_public_methods_are_public() -> None:
    missing = {}
    for name in ("Device", "BootTasks", "Preferences", "Repository", "Publisher", "read_advisory"):
        for place, hint in hints(getattr(repoint, name)):
            for word in re.findall(r"\b[A-Z]\w+", hint):
                ours = word not in PRIVATE | ALIASES and word not in STANDARD
                if ours and word not in repoint.__all__:
                    missing[f"{name}.{place}"] = word
    assert missing == {}


STANDARD = {"None", "Path", "Callable", "Collection", "Mapping", "Sequence", "Iterator", "Literal",
            "Any", "True", "False", "AbstractContextManager", "ClassVar"}  # fmt: skip


def hints(value: object) -> Iterator[tuple[str, str]]:
    """The type hints of a function, or of a class's fields and public methods, as written."""
    if inspect.isclass(value):
        for name, member in vars(value).items():
            if not name.startswith("_") or name == "__init__":
                member = getattr(member, "fget", getattr(member, "__func__", member))
                yield from ((f"{name} {p}", hint) for p, hint in hints(member))
    for name, hint in getattr(value, "__annotations__", {}).items():
        if isinstance(hint, str) and not name.startswith("_"):
            yield name, hint


@pytest.mark.parametrize("code", ["from repoint import *", "from repoint import Publisher"])
def test_a_plain_device_can_import_every_name(code: str) -> None:
    missing = dict.fromkeys(("debian", "hdiffpatch", "starlette", "tomli_w", "uvicorn", "jinja2"))
    loaded(f"import sys; sys.modules.update({missing!r}); {code}")


@pytest.mark.parametrize(
    "use", ["Publisher(None)", "Repository.create(pathlib.Path('new'), passphrase=None)"]
)
def test_what_needs_the_extra_names_it(use: str) -> None:
    code = (
        "import pathlib, sys; sys.modules['tomli_w'] = None\n"
        "from repoint import MissingExtraError, Publisher, Repository\n"
        f"try:\n    {use}\nexcept MissingExtraError as error:\n"
        "    assert \"pip install 'repoint[vendor]'\" in str(error)\n"
        "else:\n    raise AssertionError"
    )
    loaded(code)


def test_every_error_of_the_public_interface_is_a_repoint_error() -> None:
    for name in NAMES:
        if name.endswith("Error"):
            assert issubclass(getattr(repoint, name), repoint.RepointError)


def test_other_names_do_not_exist() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Store'"):
        repoint.Store  # noqa: B018
    assert "Publisher" in dir(repoint)


def loaded(code: str) -> set[str]:
    program = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_else() -> None:
    more = loaded("import repoint") - loaded("import __future__, importlib")
    assert more == {"repoint"}


def test_a_device_loads_nothing_that_only_vendors_need() -> None:
    modules = loaded("from repoint import Device, RepointError")
    assert "repoint.device.device" in modules
    assert not {name for name in modules if name.startswith("repoint.publisher")}
    assert not {"numpy", "tuf", "cryptography", "hdiffpatch"} & modules
