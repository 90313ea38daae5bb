import pytest

from repoint.model.errors import NameNotAllowedError
from repoint.model.names import check_component, check_platform, check_product


@pytest.mark.parametrize("name", ["acme-kiosk", "a", "0ad", "org.example.app", "gtk+3"])
def test_ordinary_names_are_allowed(name: str) -> None:
    assert check_product(name) == name
    assert check_component(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a..b", "A", "a/b", "-a", "a b", "ä", "a" * 64])
def test_a_name_that_could_be_a_path_is_refused(name: str) -> None:
    with pytest.raises(NameNotAllowedError):
        check_product(name)


@pytest.mark.parametrize("name", ["linux-x86_64", "linux-aarch64", "linux-aarch64-kiosk2"])
def test_platforms_name_system_machine_and_model(name: str) -> None:
    assert check_platform(name) == name


@pytest.mark.parametrize("name", ["linux", "Linux-x86_64", "linux/x86", ""])
def test_what_is_no_platform_is_refused(name: str) -> None:
    with pytest.raises(NameNotAllowedError, match="linux-x86_64"):
        check_platform(name)
