"""The texts of the fleet page, one TOML file for each language."""

from __future__ import annotations

from pathlib import Path

CATALOGUE = Path(__file__).with_name("texts")
"""The folder of the texts."""
