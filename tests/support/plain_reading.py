"""A plain reading of conditions in Python, over rows as they are stored, to compare the database's answer with.

It shares no code with the product beyond the parsed query; its source is docs/reference/encoded-queries.md.
"""

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from changegate.services.tables.queries.encoded_query import Condition, EncodedQuery

Row = Mapping[str, Any]
SIGNS = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
FIELD_SIGNS = {
    "SAMEAS": operator.eq,
    "NSAMEAS": operator.ne,
    "GT_FIELD": operator.gt,
    "LT_FIELD": operator.lt,
    "GT_OR_EQUALS_FIELD": operator.ge,
    "LT_OR_EQUALS_FIELD": operator.le,
}
RELATIVE_SIGNS = {"GT": operator.gt, "GE": operator.ge, "LT": operator.lt, "LE": operator.le}
PART_SIGNS = {"EE": operator.eq, **RELATIVE_SIGNS}
TEXT_TESTS = {"LIKE": str.__contains__, "STARTSWITH": str.startswith, "ENDSWITH": str.endswith}
NEGATIONS = {"!=": "=", "NOT IN": "IN", "NOT LIKE": "LIKE", "NOTON": "ON"}
UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "dayofweek": timedelta(days=1)}
WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class Dropped(Exception):
    """The condition makes no sense and does not count."""


class Impossible(Exception):
    """No stored value can be like this one."""


def fold(text: str) -> str:
    """Fold ASCII alone, as both databases of these tests do."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


@dataclass(frozen=True)
class World:
    """What there is: each field's kind, the labels of choices, other tables' rows by sys_id, and the time."""

    kinds: Mapping[str, str]
    labels: Mapping[str, Mapping[str, str]]
    records: Mapping[str, Row]
    now: datetime = field(default=datetime(2026, 1, 31, 8, 30, tzinfo=UTC))

    def finds(self, query: EncodedQuery, row: Row) -> bool:
        """Return whether a query finds a row; of what is dropped, nothing counts."""
        kept = [self._kept(group, row) for group in query.alternatives]
        alternatives = [chains for chains in kept if chains]
        return not alternatives or any(all(chains) for chains in alternatives)

    def _kept(self, group: Any, row: Row) -> list[bool]:
        chains = ([self._outcome(condition, row) for condition in chain] for chain in group)
        return [any(found) for chain in chains if (found := [each for each in chain if each is not None])]

    def _outcome(self, condition: Condition, row: Row) -> bool | None:
        try:
            if condition.field not in self.kinds:
                raise Dropped
            return self._holds(condition, row)
        except Dropped:
            return None

    def value(self, row: Row, path: str) -> Any:
        """Return the value at the end of a walk; None where a step leads nowhere."""
        found: Any = row.get(path.split(".")[0])
        for step in path.split(".")[1:]:
            found = self.records.get(found, {}).get(step)
        return found

    def _holds(self, condition: Condition, row: Row) -> bool:
        sign, path = condition.operator, condition.field
        stored, kind = self.value(row, path), self.kinds[path]
        is_filled = stored is not None and stored != ""
        if sign in NEGATIONS:
            return self._negated(condition, row, is_filled=is_filled)
        if sign in {"ISEMPTY", "ISNOTEMPTY", "ANYTHING"}:
            return {"ISEMPTY": not is_filled, "ISNOTEMPTY": is_filled, "ANYTHING": True}[sign]
        if sign in FIELD_SIGNS:
            return self._compares_fields(condition, row)
        if sign in {"ON", "DATEPART"} or sign.startswith("RELATIVE"):
            return self._date_holds(condition, stored, kind)
        try:
            return self._value_holds(condition, stored, kind)
        except Impossible:
            return False

    def _negated(self, condition: Condition, row: Row, *, is_filled: bool) -> bool:
        positive = self._holds(Condition(condition.field, NEGATIONS[condition.operator], condition.value), row)
        return not positive and (is_filled or self.kinds[condition.field] == "boolean")

    def _value_holds(self, condition: Condition, stored: Any, kind: str) -> bool:
        sign, text = condition.operator, condition.value
        if sign in {"=", "IN"}:
            return self._is_any(condition, stored, kind)
        shown = self.records.get(stored, {}).get("name") if kind == "reference" else stored
        if sign in TEXT_TESTS:
            if kind not in {"string", "choice", "reference"} or not text:
                raise Dropped
            piece = self._text(text)
            return shown is not None and bool(TEXT_TESTS[sign](fold(shown), fold(piece)))
        texts = text.split("@", 1) if sign == "BETWEEN" else [text]
        if sign == "BETWEEN" and len(texts) != 2:
            raise Dropped
        values = []
        for item in texts:
            values.append(self._read(condition.field, item, "string" if kind == "reference" else kind))
            if values[-1] is None:
                raise Dropped
        # A number has no small letters, so that it is compared as it stands.
        folded = str.upper if condition.field == "number" else fold
        found, *bounds = (folded(each) if isinstance(each, str) else each for each in (shown, *values))
        if found is None:
            return False
        return bool(bounds[0] <= found <= bounds[1] if sign == "BETWEEN" else SIGNS[sign](found, bounds[0]))

    def _is_any(self, condition: Condition, stored: Any, kind: str) -> bool:
        items = [item.strip() for item in condition.value.split(",")] if condition.operator == "IN" else None
        values, refused = [], 0
        for item in items or [condition.value]:
            try:
                values.append(self._read(condition.field, item, kind))
            except Impossible:
                continue
            except Dropped:
                refused += 1
        if refused == len(items or [0]):
            raise Dropped
        wanted = [value for value in values if value is not None]
        if values and not wanted:
            return stored is None or stored == ""
        if kind == "reference":
            return any(stored in self._meant(value, condition.field) for value in wanted)
        if isinstance(stored, str):
            return fold(stored) in map(fold, wanted)
        return stored is not None and stored in wanted

    def _meant(self, text: str, path: str) -> set[str]:
        """Return the sys_ids that a text stands for: itself, else a user name's, else a display name's."""
        if re.fullmatch("[A-Za-z0-9]{32}", text):
            return {text, text.lower()}
        is_user = path.endswith(("assigned_to", "manager"))
        rows = [row for row in self.records.values() if ("user_name" in row) == is_user]
        by_user_name = {row["sys_id"] for row in rows if fold(row.get("user_name") or "") == fold(text)}
        return by_user_name or {row["sys_id"] for row in rows if fold(row["name"]) == fold(text)}

    def _read(self, path: str, text: str, kind: str) -> Any:
        if text == "":
            return None
        if kind in {"choice", "integer"}:
            text = self._chosen(path, text)
        if kind == "integer":
            if not re.fullmatch(r"\s*[+-]?[0-9]{1,10}\s*", text) or abs(int(text)) >= 2**31:
                raise Dropped
            return int(text)
        if kind == "boolean":
            words = {"true": True, "1": True, "false": False, "0": False}
            if text.lower() not in words:
                raise Dropped
            return words[text.lower()]
        return self._date(text, kind) if kind in {"instant", "day"} else self._text(text)

    def _chosen(self, path: str, text: str) -> str:
        labels = self.labels.get(path, {})
        if text.strip().lower() in map(str.lower, labels):
            return text.strip()
        return next((value for value, label in labels.items() if label.lower() == text.strip().lower()), text)

    def _text(self, text: str) -> str:
        if re.search("[\x00-\x08\ud800-\udfff]", text):
            raise Impossible
        return text

    def _date(self, text: str, kind: str) -> date:
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            raise Dropped from None
        in_utc = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        return in_utc if kind == "instant" else in_utc.date()

    def _compares_fields(self, condition: Condition, row: Row) -> bool:
        other, _, unit = condition.value.partition("@")
        paths = (condition.field, other)
        families = {"choice": "string", "reference": "string", **({"instant": "day"} if unit else {})}
        kinds = {families.get(kind, kind) for kind in (self.kinds.get(path, "none") for path in paths)}
        if "none" in kinds or len(kinds) > 1 or (unit and (unit != "day" or kinds != {"day"})):
            raise Dropped
        pair = [self.value(row, path) for path in paths]
        if None in pair:
            return False
        first, second = (fold(each) if isinstance(each, str) else each for each in pair)
        if unit:
            first, second = (each.date() if isinstance(each, datetime) else each for each in (first, second))
        return bool(FIELD_SIGNS[condition.operator](first, second))

    def _date_holds(self, condition: Condition, stored: Any, kind: str) -> bool:
        if kind not in {"instant", "day"}:
            raise Dropped
        if condition.operator == "DATEPART":
            return self._part_holds(condition.value, stored)
        if condition.operator == "ON":
            return self._is_on(condition.value, stored, kind)
        if not (match := re.fullmatch("@(minute|hour|dayofweek)@(ago|ahead)@([0-9]{1,4})", condition.value)):
            raise Dropped
        then = self.now + UNITS[match[1]] * int(match[3]) * (-1 if match[2] == "ago" else 1)
        wanted: date = then if kind == "instant" else then.date()
        return stored is not None and bool(RELATIVE_SIGNS[condition.operator[-2:]](stored, wanted))

    def _is_on(self, text: str, stored: Any, kind: str) -> bool:
        today = self.now.date()
        days = {"Today": (today, today), "Last 7 days": (today - timedelta(days=7), today)}
        if text in days:
            day = stored.date() if isinstance(stored, datetime) else stored
            return stored is not None and days[text][0] <= day <= days[text][1]
        bounds = [self._date(bound, kind) for bound in text.split("@")[1:]]
        if len(bounds) != 2:
            raise Dropped
        return stored is not None and bounds[0] <= stored <= bounds[1]

    def _part_holds(self, text: str, stored: Any) -> bool:
        match = re.fullmatch(r".*@javascript:gs\.datePart\('(\w+)','(\w+)','(\w\w)'\)", text)
        if match is None:
            raise Dropped
        if stored is None:
            return False
        parts = {
            "dayofweek": stored.isoweekday(),
            "hour": stored.hour if isinstance(stored, datetime) else 0,
            "week": stored.isocalendar().week,
            "month": stored.month,
            "quarter": (stored.month + 2) // 3,
            "year": stored.year,
        }
        wanted = WEEKDAYS.index(match[2]) + 1 if match[2] in WEEKDAYS else int(match[2])
        return bool(PART_SIGNS[match[3]](parts[match[1]], wanted))
