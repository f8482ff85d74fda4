"""How texts are split: token patterns in the syntax of RE2, which ONNX Runtime has, and letters."""

import re
from typing import Final

LETTER: Final = r"[\p{L}\p{N}_]"  # \w of Python; that of RE2 is only ASCII
RUN: Final = re.compile(r"(?:\\b)?((?:\\w)*)\\w(\+|\{(\d+),\})(?:\\b)?")  # of at least so many letters
# What means the same in RE2, of which ONNX Runtime takes the longest match: without alternatives.
ATOM: Final = r"(?:\[\^?[^\[\]\\]+\]|[^\\()|^$.?*+{}\[\]])"  # a class of letters, or a letter
SAME: Final = re.compile(rf"(?:{ATOM}(?:[+*?]|\{{\d+(?:,\d*)?\}})?)+")
SPACE: Final = r"[\s\v\x1c-\x1f\x{85}\p{Z}]"  # \s of Python
SPACES: Final = f"{SPACE}{{2,}}"  # which scikit-learn replaces with one space before it counts letters
LETTERS: Final = f"{SPACES}|(?s)."
WHITE: Final = [chr(one) for one in range(0x3001) if chr(one).isspace()]  # the letters that SPACE matches


def translate(pattern: str) -> str | None:
    """
    Return a token pattern in the syntax of RE2, or None if it cannot say the same.

    Runs of letters such as the default `(?u)\\b\\w\\w+\\b` are translated. Other patterns are the same if they only
    have classes of letters, such as `[a-z]+`.
    """
    pattern = pattern.removeprefix("(?u)")
    if least := find_shortest(pattern):
        return f"{LETTER}{{{least},}}"
    return pattern if SAME.fullmatch(pattern) and not re.fullmatch(pattern, "") else None


def find_shortest(pattern: str) -> int | None:
    """Return how many letters the shortest word of a token pattern has, or None if words are not runs of letters."""
    run = RUN.fullmatch(pattern.removeprefix("(?u)"))
    return len(run[1]) // 2 + int(run[3] or 1) if run else None


def may_match_space(pattern: str) -> bool:
    """Return whether a word of a token pattern that `translate` accepts may have a space."""
    return any(re.fullmatch(atom, " ") for atom in re.findall(ATOM, pattern))
