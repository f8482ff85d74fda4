"""
What models, files, tensors and moments may be called in a contract.

Each rule has a function for the decoder and the same as a pattern for the JSON Schema: compiling a regular expression
would cost each cold start more than all the checking.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

LETTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
PUNCTUATED: Final = LETTERS | frozenset("._-")
HEXADECIMAL: Final = frozenset("0123456789abcdef")
SAME_DIGIT: Final = str.maketrans("123456789", "000000000")


class Text(NamedTuple):
    """A rule for a text: the check, what an error says was expected, and the same check as an ECMA-262 pattern."""

    matches: Callable[[str], bool]
    expected: str
    pattern: str


def is_model_name(text: str) -> bool:
    """Return whether a model may have this name: it is safe as a folder, in a URL and as a Kubernetes label."""
    return 0 < len(text) <= 100 and text[0] in LETTERS and text[-1] in LETTERS and PUNCTUATED.issuperset(text)


def is_file_name(text: str) -> bool:
    """Return whether a file of a bundle may have this name: never a path, never hidden, never an option."""
    return 0 < len(text) <= 200 and text[0] not in ".-" and PUNCTUATED.issuperset(text) and text != "bundle.json"


def is_tensor_name(text: str) -> bool:
    """Return whether an input or output may have this name: nearly everything that a graph may call it."""
    return 0 < len(text) <= 500 and not any(letter < " " or letter == "\x7f" for letter in text)


def is_hash(text: str) -> bool:
    """Return whether this is a hash as the contract writes it."""
    return len(text) == 71 and text.startswith("sha256:") and HEXADECIMAL.issuperset(text[7:])


def is_moment(text: str) -> bool:
    """Return whether this is a moment in UTC, to the second. Whether the month has that day is not checked."""
    return (
        text.translate(SAME_DIGIT) == "0000-00-00T00:00:00Z"
        and "01" <= text[5:7] <= "12"
        and "01" <= text[8:10] <= "31"
        and text[11:13] <= "23"
        and text[14:16] <= "59"
        and text[17:19] <= "59"
    )


MODEL_NAME: Final = Text(
    is_model_name,
    "1 to 100 of A-Z a-z 0-9 . _ -, with a letter or digit at both ends",
    "^[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?$",
)
FILE_NAME: Final = Text(
    is_file_name,
    "a file name of 1 to 200 of A-Z a-z 0-9 . _ -, not beginning with . or -, other than bundle.json",
    "^(?!bundle\\.json$)[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$",
)
TENSOR_NAME: Final = Text(
    is_tensor_name, "1 to 500 characters without control characters", "^[^\\u0000-\\u001f\\u007f]{1,500}$"
)
HASH: Final = Text(is_hash, "sha256: and 64 hexadecimal digits", "^sha256:[0-9a-f]{64}$")
MOMENT: Final = Text(
    is_moment,
    "a moment in UTC like 2026-11-21T01:02:03Z",
    "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$",
)
