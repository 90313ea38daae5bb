"""Where people reach a vendor is an https or mail address, and only to such a one is a link made."""

from __future__ import annotations

import re

import pytest

from repoint.model.baseline import About
from repoint.model.errors import InvalidRecordError
from repoint.model.texts import CONTACT_PATTERN, check_contact, contact_link
from repoint.publisher.baselines import Release
from repoint.publisher.manifest.record import Product
from tests.world import NAME


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("https://acme.example/security?a=b", "https://acme.example/security?a=b"),
        ("security@acme.example", "mailto:security@acme.example"),
        ("mailto:security+kiosk@acme.example", "mailto:security+kiosk@acme.example"),
    ],
)
def test_an_https_or_mail_address_is_a_contact(text: str, link: str) -> None:
    assert check_contact("contact", text) == text
    assert contact_link(text) == link
    assert re.search(CONTACT_PATTERN, text)


@pytest.mark.parametrize(
    "text",
    [
        "box", "http://acme.example", "javascript:alert(1)", "https://", "a@b", "@acme.example",
        "a b@acme.example", "mailto:", "mailto:a@acme.example?body=x", "a@acme.example,b@c.example",
        "javascript:a@acme.example", "https://acme.example/ a", "a%0a@acme.example",
    ],
)  # fmt: skip
def test_nothing_else_is_a_contact_or_becomes_a_link(text: str) -> None:
    with pytest.raises(InvalidRecordError, match="neither an https nor a mail address"):
        check_contact("contact", text)
    assert contact_link(text) == ""
    assert not re.search(CONTACT_PATTERN, text)


@pytest.mark.parametrize(
    "about", [About(contact="box"), About(support="http://acme.example")], ids=["contact", "help"]
)
def test_a_manifest_and_a_release_refuse_what_is_no_contact(about: About) -> None:
    with pytest.raises(InvalidRecordError, match="neither an https nor a mail address"):
        Product("kiosk", ("linux-x86_64",), contact=about.contact, support=about.support)
    with pytest.raises(InvalidRecordError, match="neither an https nor a mail address"):
        Release("acme-kiosk", NAME, (), about=about)
