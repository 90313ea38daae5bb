"""The vendor's public interface, as the vendor guide shows it."""

from __future__ import annotations

import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from repoint import ComponentSource, Publisher, Release, Repository, WrongPassphraseError
from repoint.model.baseline import BaselineName
from repoint.publisher.errors import UnknownBaselineError
from tests.world import FIXED, NAME, OLD, Vendor, write_tree

GUIDE = Path(__file__).resolve().parents[2] / "docs/vendor.md"
ADVISORY = """
title = "Security update for image decoding"
[[fix]]
cves = ["CVE-2023-4863"]
component = "pillow"
impact = "Opening a malicious picture may run an attacker's code"
description = "A heap buffer overflow was addressed."
"""


def test_the_python_example_of_the_guide_publishes_an_improvement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    repository = Repository.create(Path("updates"), passphrase=b"a long secret")
    write_tree(tmp_path / "Pillow-10.0.0.whl", OLD)  # a folder is a source too
    write_tree(tmp_path / "Pillow-10.0.1.whl", FIXED)
    Path("advisory.toml").write_text(ADVISORY)
    (example,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    exec(example, {"read_secret": lambda role: b"a long secret"})

    publisher = Publisher(repository, passphrases=lambda role: b"a long secret")
    (product,) = publisher.show().products
    assert [improvement.offer.label for improvement in product.improvements] == ["26.3.1 (a)"]
    assert product.improvements[0].offer.urgency == "exploited"

    (offer,) = publisher.withdraw("acme-kiosk", "26.3.1 (a)", reason="Breaks printing")
    assert (offer.state, offer.reason) == ("withdrawn", "Breaks printing")
    assert publisher.baseline("acme-kiosk", "26.3.1").name.build == "25D2128"
    with pytest.raises(UnknownBaselineError, match="no baseline 27"):
        publisher.baseline("acme-kiosk", "27")


def test_encrypted_keys_without_passphrases_are_refused_before_anything_changes(
    tmp_path: Path,
) -> None:
    repository = Repository.create(tmp_path / "updates", passphrase=b"a long secret")
    sources = (ComponentSource("engine", write_tree(tmp_path / "engine", OLD)),)
    with pytest.raises(WrongPassphraseError, match="has no passphrases"):
        Publisher(repository).add_baseline(Release("acme-kiosk", NAME, sources))
    assert repository.products() == []
    assert not (repository.path / "baselines").exists()


def test_no_other_account_reaches_the_trees_of_a_source(tmp_path: Path) -> None:
    """A source may have set-user-ID programs, which would run with the vendor's rights."""
    vendor = Vendor(tmp_path)
    source = write_tree(tmp_path / "source", OLD)
    (source / "main.py").chmod(0o4777)
    release = Release(vendor.product, NAME, (ComponentSource("engine", source),))
    vendor.publisher.add_baseline(release)
    folder = vendor.repository.path / "baselines"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    folder.chmod(0o755)  # as older versions made it
    newer = replace(release, name=BaselineName(NAME.platform, "27.0", "27A1"))
    vendor.publisher.add_baseline(newer)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
