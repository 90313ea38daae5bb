import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoint.model.errors import NameNotAllowedError
from repoint.model.version import Letter, Version, label, parse_label

versions = st.from_regex(r"[0-9A-Za-z][0-9A-Za-z.+~_]{0,12}", fullmatch=True).map(Version)
letters = st.from_regex(r"[a-z]{1,2}", fullmatch=True).map(Letter)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("26.3", "26.3.1"),
        ("26.3.1", "26.3.2"),
        ("26.3.9", "26.3.10"),
        ("25D2128", "25D2130"),
        ("25D999", "25D2128"),
        ("25C5", "25D1"),
        ("4.0~rc1", "4.0"),
        ("4.0~beta2", "4.0~rc1"),
        ("1.0", "1.0+fix1"),
    ],
)
def test_versions_order_as_people_expect(older: str, newer: str) -> None:
    assert Version(older) < Version(newer)


@given(versions, versions, versions)
def test_the_order_of_versions_is_total_and_transitive(a: Version, b: Version, c: Version) -> None:
    assert (a < b) + (b < a) + (a == b) == 1
    if a <= b and b <= c:
        assert a <= c


@given(letters)
def test_the_next_letter_comes_after_and_nothing_lies_between(letter: Letter) -> None:
    following = letter.next()
    assert letter < following
    assert not (letter.text == "z" and following.text != "aa")
    assert len(following.text) - len(letter.text) in (0, 1)


def test_letters_go_on_after_z() -> None:
    letter = Letter("a")
    seen = []
    for _ in range(30):
        seen.append(letter.text)
        letter = letter.next()
    assert seen[:3] == ["a", "b", "c"]
    assert seen[24:29] == ["y", "z", "aa", "ab", "ac"]


@given(versions, letters)
def test_a_label_reads_back_as_what_it_was_made_of(version: Version, letter: Letter) -> None:
    assert parse_label(label(version.text, letter.text)) == (version.text, letter.text)


@pytest.mark.parametrize("text", ["", "26.3.1", "26.3.1 (A)", "26.3.1 a", "../1 (a)", "1 (abcd)"])
def test_what_is_no_label_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(NameNotAllowedError):
        parse_label(text)


@pytest.mark.parametrize("text", ["", "-1", "1/2", "..", "1 2", "1-2", "é", "1" * 64])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(NameNotAllowedError, match=r"26\.3\.1"):
        Version(text)


def test_a_version_is_not_comparable_with_a_letter() -> None:
    with pytest.raises(TypeError):
        assert Version("a") < Letter("b")
