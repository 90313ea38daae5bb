import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoint.model.errors import InvalidRecordError
from repoint.model.tree import Entry, check_link, check_path


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "..", "a/../b", "a//b", "./a", "a/", "a\0b", "\ud800", "x" * 5000]
)
def test_a_path_that_would_leave_the_tree_is_refused(path: str) -> None:
    with pytest.raises(InvalidRecordError):
        check_path(path)


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6))
def test_a_path_that_is_allowed_never_climbs(parts: list[str]) -> None:
    path = "/".join(parts)
    try:
        check_path(path)
    except InvalidRecordError:
        return
    assert not path.startswith("/")
    assert ".." not in path.split("/")


@pytest.mark.parametrize(
    ("path", "target"),
    [("a", "/etc"), ("a", ".."), ("a/b", "../../c"), ("a/b", "c/../../../d"), ("a", "")],
)
def test_a_link_out_of_the_tree_is_refused(path: str, target: str) -> None:
    with pytest.raises(InvalidRecordError, match="leads out of the tree"):
        check_link(path, target)


@pytest.mark.parametrize(("path", "target"), [("a", "b"), ("a/b", "../c"), ("a/b/c", "../../d/e")])
def test_a_link_within_the_tree_is_allowed(path: str, target: str) -> None:
    check_link(path, target)


def test_a_file_needs_a_digest_and_no_write_bits() -> None:
    with pytest.raises(InvalidRecordError, match="SHA-256"):
        Entry(path="a", kind="file", mode=0o444, sha256="abc")
    with pytest.raises(InvalidRecordError, match="mode"):
        Entry(path="a", kind="file", mode=0o644, sha256="0" * 64)
