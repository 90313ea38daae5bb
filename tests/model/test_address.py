"""Addresses: one strict form, and one clear line for everything else."""

from __future__ import annotations

import pytest

from repoint.model.address import Address, AddressError, hidden


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://updates.example.org/kiosk", "https://updates.example.org/kiosk"),
        ("https://updates.example.org/kiosk///", "https://updates.example.org/kiosk"),
        ("https://updates.example.org", "https://updates.example.org"),
        ("HTTPS://Updates.Example.ORG./Kiosk", "https://updates.example.org/Kiosk"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("http://h:80/a", "http://h/a"),
        ("https://h:443", "https://h"),
        ("http://h:443", "http://h:443"),
        ("http://[::1]:8000/a", "http://[::1]:8000/a"),
        ("http://[0:0::1]/", "http://[::1]"),
        ("https://münchen.example/Straße", "https://xn--mnchen-3ya.example/Stra%C3%9Fe"),
        ("http://h/a%20b", "http://h/a%20b"),
        ("http://under_score.example", "http://under_score.example"),
    ],
)
def test_an_address_has_one_form(text: str, address: str) -> None:
    assert str(Address.parse(text)) == address
    assert Address.parse(address) == Address.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("updates.example.org/kiosk", "not an http or https URL"),
        ("/srv/updates", "not an http or https URL"),
        ("file:///srv/updates", "not an http or https URL"),
        ("ftp://updates.example.org", "not an http or https URL"),
        ("javascript:alert(1)", "not an http or https URL"),
        ("http:updates.example.org", "has no host"),
        ("http://", "has no host"),
        ("http:///kiosk", "has no host"),
        ("http://:80", "has no host"),
        ("http://[::1", "malformed"),
        ("http://::1]/", "malformed"),
        ("http://[::zz]/", "malformed|no valid host name"),
        ("http://[fe80::1%eth0]/", "malformed|no valid host name"),
        ("http://::1/", "no valid port|has no host"),
        ("http://h:99999", "no valid port"),
        ("http://h:0", "no valid port"),
        ("http://h:-1", "no valid port"),
        ("http://h:abc", "no valid port"),
        ("http://h:", "no valid port"),
        ("http://h:80:80", "no valid port"),
        (" http://h", "a space or a control"),
        ("http://h ", "a space or a control"),
        ("http://h/a b", "a space or a control"),
        ("http://h/a\nb", "a space or a control"),
        ("http://h/\x1b[2J", "a space or a control"),
        ("http://h/\u202egnp", "a space or a control"),
        ("http://h\\@evil.example/", "a backslash"),
        ("http://h/a/../b", "`.` or `..`"),
        ("http://h/a/%2E./b", "`.` or `..`"),
        ("http://h/..", "`.` or `..`"),
        ("http://h?X-Amz-Signature=abc", "a query"),
        ("http://h/a?", "a query"),
        ("http://h/#x", "a query or a fragment"),
        ("http://a..b/", "no valid host name"),
        ("http://-a.example/", "no valid host name"),
        ("http://" + "a" * 64 + ".example/", "no valid host name"),
        ("http://a,b/", "no valid host name"),
        ("http://a%2eb/", "no valid host name"),
        ("http://h/" + "a" * 3000, "longer than"),
        ("http://user:secret@h/", "a user name or a password"),
        ("http://user@h/", "a user name or a password"),
        ("http://@h/", "a user name or a password"),
    ],
)
def test_a_broken_address_is_one_line_that_says_what_to_do(text: str, message: str) -> None:
    with pytest.raises(AddressError, match=message) as caught:
        Address.parse(text)
    line = str(caught.value)
    assert "\n" not in line
    assert "\x1b" not in line
    assert caught.value.hint
    assert len(line) < 450


@pytest.mark.parametrize(
    "text",
    [
        "http://user:secret@h/",
        "http://user:se cret@h/",
        "http://user:se/secret@h/",
        "http://user:secret@h:99999/",
        "http://user:secret@[::1",
        "ftp://user:secret@h/",
        "user:secret@h/",
        "//user:secret@h/",
        "http://user:sec@secret@h/",
        "http://h/a?token=secret",
        "http://h/a?x=1@secret",
        " http://user:secret@h/",
        "http://user:secret\\@h/",
    ],
)
def test_no_message_shows_the_secret_of_an_address(text: str) -> None:
    with pytest.raises(AddressError) as caught:
        Address.parse(text)
    assert "secret" not in str(caught.value)
    assert "secret" not in hidden(text)


@pytest.mark.parametrize(
    ("address", "prefix", "below"),
    [
        ("https://h/kiosk", "https://h", True),
        ("https://h/kiosk", "https://h/", True),
        ("https://h/kiosk", "https://h/kiosk/", True),
        ("https://h/kiosk", "https://H:443/kiosk", True),
        ("https://h/kiosks", "https://h/kiosk", False),
        ("https://h/kiosk", "https://h/kiosk/a", False),
        ("https://h/kiosk", "http://h/", False),
        ("https://h:444/kiosk", "https://h/", False),
        ("https://h.evil.example/", "https://h", False),
    ],
)
def test_an_address_is_below_a_whole_prefix_only(address: str, prefix: str, below: bool) -> None:
    assert Address.parse(address).is_below(Address.parse(prefix)) is below
