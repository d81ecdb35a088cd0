"""Example values that a claim condition accepts or refuses; each example has been evaluated by the condition."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from changegate.services.assertions.claim_conditions import ClaimCondition
from changegate.services.assertions.segment_glob import WILDCARD

MAX_SAMPLES = 5
MAX_NEAR_MISSES = 2
# Substitutes for a wildcard: as a whole name, and as the continuation of a name.
WORDS = ("anything", "main", "1", "somebody-else", "x.y")
ENDINGS = ("-evil", "", "1", "-anything", ".x")
EVIL = "-evil"


def list_samples(stored: Mapping[str, Any], condition: ClaimCondition) -> list[object]:
    """Return up to five different values that the condition accepts."""
    return _first(MAX_SAMPLES, (value for value in _admitted(stored) if condition.is_met_by(value)))


def list_near_misses(stored: Mapping[str, Any], condition: ClaimCondition) -> list[object]:
    """Return up to two different values that resemble accepted values but are refused."""
    return _first(MAX_NEAR_MISSES, (value for value in _neighbours(stored) if not condition.is_met_by(value)))


def _first(count: int, values: Iterable[object]) -> list[object]:
    samples: list[object] = []
    for value in values:
        if not any(type(value) is type(other) and value == other for other in samples):
            samples.append(value)
        if len(samples) == count:
            break
    return samples


def _admitted(stored: Mapping[str, Any]) -> Iterable[object]:
    value = stored.get("value")
    match stored["operator"]:
        case "equals":
            return [value, value[::-1]] if isinstance(value, list) else [value]
        case "one_of":
            return list(value or ())
        case "glob":
            return (_filled(str(value), turn) for turn in range(MAX_SAMPLES))
        case "contains":
            return [value], [value, WORDS[0]], [WORDS[0], value]
        case _:
            return WORDS[0], "", 0, False, []


def _neighbours(stored: Mapping[str, Any]) -> Iterable[object]:
    value = stored.get("value")
    match stored["operator"]:
        case "equals":
            return _like(value)
        case "one_of":
            return _like(next(iter(value or ())))
        case "glob":
            return _like_pattern(str(value))
        case "contains":
            return [f"{value}{EVIL}"], value
        case _:
            return (None,)


def _like(value: object) -> Iterator[object]:
    """Yield another value of the same type, then the same value in another type."""
    if isinstance(value, bool):
        yield from (not value, str(value).lower())
    elif isinstance(value, int | float):
        yield from (value + 1, str(value))
    elif isinstance(value, list):
        yield from ([*value, WORDS[0]], value[:-1])
    else:
        yield from _like_text(str(value))


def _like_text(text: str) -> Iterator[object]:
    is_number = text.isascii() and text.isdecimal()
    yield text + ("0" if is_number else EVIL)
    if text in ("true", "false"):
        yield text == "true"
    elif is_number and str(int(text[:15])) == text:
        yield int(text)


def _like_pattern(pattern: str) -> Iterator[object]:
    """Yield values with another name before the wildcard, with an extra segment, and with a suffix and a prefix."""
    first = pattern.find(WILDCARD)
    # The end of the name before the wildcard's segment. In repo:* it is a keyword, which has no variants.
    end = max(pattern.rfind(separator, 0, max(first, 0)) for separator in "/:")
    is_keyword = pattern[end] == ":" and not set(pattern[:end]) & set("/:")
    if end > 0 and pattern[end - 1] not in "/:" and not is_keyword:
        yield _filled(pattern[:end] + EVIL + pattern[end:], 0)
    if first >= 0:
        yield _filled(pattern.replace(WILDCARD, "one/more", 1), 0)
    sample = _filled(pattern, 0)
    yield from (sample + EVIL, "x" + sample)


def _filled(pattern: str, turn: int) -> str:
    """Return the pattern with its wildcards replaced by words; each `turn` uses other words."""
    text, *pieces = pattern.split(WILDCARD)
    for piece in pieces:
        words = ENDINGS if text[-1:].isalnum() else WORDS
        text += words[turn % len(words)] + piece
    return text
