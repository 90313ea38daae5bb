"""Making text from outside safe to print.

Names of processes and files, reasons, titles and answers of servers come from outside. They can
hold control sequences that rewrite a terminal, line breaks that forge a line of a log, and
characters that reorder or hide what stands beside them. So every place that shows text (the
terminal, the journal, notifications) passes it through `one_line`.

`repoint launch` imports this module before every start, so it imports nothing.
"""

from __future__ import annotations

_SPACES = frozenset("\u00a0\u2007\u2009\u202f\u3000")
"""Spaces with a width that `str.isprintable` does not accept."""

# Default_Ignorable_Code_Point of the Unicode Character Database: printable for Python, but
# invisible. Variation selectors (U+FE00 to U+FE0F) are not listed: emoji use them.
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
)  # fmt: skip

_NAMES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def one_line(text: str) -> str:
    r"""Return text as one line that a terminal can print.

    Control characters, line breaks, and characters that reorder text or are invisible are replaced
    by their escape sequences, such as ``\x1b`` and ``\u202e``; so are bytes that are not UTF-8.
    """
    if text.isprintable() and _INVISIBLE.isdisjoint(text):
        return text
    return "".join(c if _is_visible(c) else _escape(c) for c in text)


def _is_visible(character: str) -> bool:
    return (character.isprintable() and character not in _INVISIBLE) or character in _SPACES


def _escape(character: str) -> str:
    if character in _NAMES:
        return _NAMES[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00  # a byte that is not UTF-8, as `os.fsdecode` represents it
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
