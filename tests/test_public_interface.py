"""The public interface: its names exist, are documented, and cost nothing until they are used."""

from __future__ import annotations

import inspect
import subprocess
import sys

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
