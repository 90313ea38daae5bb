"""The file of an SQLite database belongs to its owner alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from repoint.fleet.stores.errors import DatabaseAddressError, FleetStoreError
from repoint.fleet.stores.failures import without_password
from repoint.fleet.stores.opening import open_state
from tests.fleet.reports import count

NOW = 1_790_000_000


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    before = os.umask(0o022)
    made = tmp_path / "fleet"
    made.mkdir()
    os.umask(before)
    return made


def test_other_accounts_can_neither_read_nor_lock_the_database(folder: Path) -> None:
    state = open_state(f"sqlite:///{folder}/fleet.db")
    state.add([count()], NOW)
    assert modes(folder) == {0o600}
    assert len(list(folder.iterdir())) == 3


def test_a_database_that_others_could_read_is_closed_to_them(folder: Path) -> None:
    path = folder / "fleet.db"
    open_state(f"sqlite:///{path}").add([count()], NOW)
    path.chmod(0o644)
    open_state(f"sqlite:///{path}").add([count()], NOW)
    assert modes(folder) == {0o600}


def test_a_folder_in_the_place_of_the_database_is_one_clear_error(folder: Path) -> None:
    with pytest.raises(DatabaseAddressError, match="cannot be used as a database"):
        open_state(f"sqlite:///{folder}")


def test_a_folder_that_does_not_exist_is_refused_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(DatabaseAddressError, match=r"The folder .* does not exist") as refused:
        open_state(f"sqlite:///{tmp_path}/nowhere/fleet.db")
    assert refused.value.hint == "Create it, or correct the address"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    "url",
    ["postgresql:/fleet:SECRET@db/fleet", "postgres//fleet:SECRET@db/fleet", "fleet:SECRET@db",
     "postgresql://fleet:SECRET@127.0.0.1:x/fleet", "postgresql://fleet:SECRET/x@127.0.0.1:1/fleet",
     "postgresql://fleet:SECRET@127.0.0.1:1/fleet", "mysql://fleet:SECRET@db/fleet",
     "postgresql://127.0.0.1:1/fleet?password=SECRET&nonsense=1",
     "postgresql://fleet:SECRET@127.0.0.1:1/fleet?nonsense=1"],
)  # fmt: skip
def test_no_message_shows_the_password_of_the_database(url: str) -> None:
    with pytest.raises(FleetStoreError) as refused:
        open_state(url)
    assert "SECRET" not in str(refused.value)


def test_a_text_keeps_all_but_the_password() -> None:
    given = "connection to postgresql://fleet:x@db:5432/fleet failed, password='a b' port=1"
    shown = "connection to postgresql://…@db:5432/fleet failed, password=… port=1"
    assert without_password(given) == shown
