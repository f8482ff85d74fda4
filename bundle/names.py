"""
What models, files, tensors and moments may be called in a contract. `schema.json` says the same as patterns.

No regular expressions here: compiling them would cost each cold start more than all of the checking.
"""

from typing import Final

LETTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
MARKED: Final = LETTERS | frozenset("._-")
HEXADECIMAL: Final = frozenset("0123456789abcdef")
SAME_DIGIT: Final = str.maketrans("123456789", "000000000")

MODEL_NAME: Final = "1 to 100 of A-Z a-z 0-9 . _ -, with a letter or digit at both ends"
FILE_NAME: Final = "1 to 200 of A-Z a-z 0-9 . _ -, not beginning with . or -"
TENSOR_NAME: Final = "1 to 500 characters, none of them a control character"
HASH: Final = "sha256: and 64 hexadecimal digits"
MOMENT: Final = "a moment in UTC like 2026-11-21T01:02:03Z"


def is_model_name(text: str) -> bool:
    """Return whether a model may have this name: safe as a folder, in a URL and in a label of Kubernetes."""
    return 0 < len(text) <= 100 and text[0] in LETTERS and text[-1] in LETTERS and MARKED.issuperset(text)


def is_file_name(text: str) -> bool:
    """Return whether a file of a bundle may have this name: never a path, never hidden, never an option."""
    return 0 < len(text) <= 200 and text[0] not in ".-" and MARKED.issuperset(text)


def is_tensor_name(text: str) -> bool:
    """Return whether an input or output may have this name. What graphs call their tensors is nearly free."""
    return 0 < len(text) <= 500 and not any(letter < " " or letter == "\x7f" for letter in text)


def is_hash(text: str) -> bool:
    """Return whether this is a hash as the contract writes it."""
    return len(text) == 71 and text.startswith("sha256:") and HEXADECIMAL.issuperset(text[7:])


def is_moment(text: str) -> bool:
    """Return whether this is a moment in UTC, to the second. That the month has that day is not checked."""
    return (
        text.translate(SAME_DIGIT) == "0000-00-00T00:00:00Z"
        and "01" <= text[5:7] <= "12"
        and "01" <= text[8:10] <= "31"
        and text[11:13] <= "23"
        and text[14:16] <= "59"
        and text[17:19] <= "59"
    )
