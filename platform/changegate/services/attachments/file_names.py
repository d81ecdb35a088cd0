"""Validation of file names. Clients save files under these names, so a name must never be a path."""

import unicodedata

from changegate.errors import RequestUnreadable

MAX_FILE_NAME_LENGTH = 255
# Of Windows and Unix: a file may be downloaded on another system than it was uploaded from.
SEPARATORS = "/\\"
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, lone surrogates, line and paragraph separators
# They can make "txt.exe" look like "exe.txt" on the screen.
_REORDERING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def parse_file_name(text: str) -> str:
    """Return a name without outer blanks. Raises `RequestUnreadable` for an invalid name."""
    name = text.strip()
    problem = _find_problem(name)
    if problem:
        raise RequestUnreadable(f"Field file_name: {problem}")
    return name


def last_part(path: str) -> str:
    """Return the last part of a path; a form may send one as the name of its file (RFC 7578 §4.2)."""
    return path.replace("\\", "/").rpartition("/")[2]


def _find_problem(name: str) -> str | None:
    if not name:
        return "a name is expected"
    if len(name) > MAX_FILE_NAME_LENGTH:
        return f"{len(name)} characters are more than the {MAX_FILE_NAME_LENGTH} it holds"
    if name in {".", ".."} or any(separator in name for separator in SEPARATORS):
        return "a name is expected, not a path"
    if any(_is_deceptive(character) for character in name):
        return "control characters, and those that change the direction of writing, are not admitted"
    return None


def _is_deceptive(character: str) -> bool:
    return unicodedata.category(character) in _UNPRINTABLE or unicodedata.bidirectional(character) in _REORDERING
