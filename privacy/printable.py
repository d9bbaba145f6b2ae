"""Text of others as it may be shown on a terminal: no control, format or direction characters.

ESC and CSI would let a proposal's purpose repaint the lines that a person approves by; bidirectional overrides and
zero-width characters make two texts look alike (Unicode Technical Report 36, section 2).
"""

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
MARK = "\N{REPLACEMENT CHARACTER}"


def is_printable(text: str) -> bool:
    """Whether every character of the text is one that people see."""
    return not any(unicodedata.category(character) in _HIDDEN for character in text)


def printable(text: str) -> str:
    """The text with a mark in place of every character that people don't see."""
    return "".join(MARK if unicodedata.category(character) in _HIDDEN else character for character in text)
