"""Texts that act on a terminal or a log, and how they must be shown."""

from __future__ import annotations

HOSTILE = {
    "a colour": ("a\x1b[31mred", "a\\x1b[31mred"),
    "a title": ("\x1b]0;own\x07", "\\x1b]0;own\\x07"),
    "a C1 control": ("a\x9b2Jb", "a\\x9b2Jb"),
    "a backspace": ("safe\b\b\b\bevil", "safe\\x08\\x08\\x08\\x08evil"),
    "a delete": ("a\x7fb", "a\\x7fb"),
    "a null": ("a\0b", "a\\x00b"),
    "a second line": ("a\nin force   99", "a\\nin force   99"),
    "a carriage return": ("a\rb", "a\\rb"),
    "a tab": ("a\tb", "a\\tb"),
    "a form feed": ("a\fb", "a\\x0cb"),
    "a next line": ("a\x85b", "a\\x85b"),
    "a line separator": ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
    "an override": ("\u202egnp.exe", "\\u202egnp.exe"),
    "isolates": ("\u2066a\u2067b\u2068c\u2069", "\\u2066a\\u2067b\\u2068c\\u2069"),
    "embeddings": ("\u202aa\u202bb\u202cc\u202d", "\\u202aa\\u202bb\\u202cc\\u202d"),
    "marks": ("\u200ea\u200fb\u061c", "\\u200ea\\u200fb\\u061c"),
    "zero width": ("a\u200bb\u200cc\u200dd\u2060", "a\\u200bb\\u200cc\\u200dd\\u2060"),
    "a byte order mark": ("\ufeffa", "\\ufeffa"),
    "a tag": ("a\U000e0041b\U000e007f", "a\\U000e0041b\\U000e007f"),
    "fillers": ("a\u3164b\u115fc\uffa0\u2800", "a\\u3164b\\u115fc\\uffa0\\u2800"),
    "a byte": ("a\udcffb", "a\\xffb"),
    "a lone surrogate": ("a\ud800b", "a\\ud800b"),
    "a soft hyphen": ("a\xadb", "a\\xadb"),
    "an interlinear mark": ("a\ufff9b", "a\\ufff9b"),
    "a private character": ("a\ue000b", "a\\ue000b"),
    "no character": ("a\U000f0000\uffffb", "a\\U000f0000\\uffffb"),
}
