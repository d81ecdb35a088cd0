"""Encoded queries made up by Hypothesis: conditions on fields of any kind, some of which make no sense."""

from collections.abc import Sequence

from hypothesis import strategies as st

from tests.support.change_rows import KINDS

VALUES: dict[str, list[str]] = {
    "string": [
        "fire",
        "FIREWALL",
        "wall",
        "%",
        "_",
        "a^^b",
        "/",
        "\\",
        "Ä",
        "ä",
        "CHG0000007",
        "x" * 32,
        "ann",
        "a,fire",
    ],
    "integer": ["-3", "0", "2", "10", " 3 ", "+1", "-5", "x", "1.5", "99999999999", "closed", "High", "3 - moderate"],
    "boolean": ["true", "FALSE", "1", "0", "maybe"],
    "instant": ["2026-01-31 08:29:59", "2026-01-01", "2026-01-01T13:00:00+01:00", "soon", "2026-13-01"],
    "day": ["2026-01-31", "2025-12-29 10:00:00", "soon"],
    "choice": ["network", "Software", "Networks", "soft"],
    "reference": ["a" * 32, "A" * 32, "f" * 32, "ann", "Ann", "bob", "bob%", "cy.lee", "NETWORK", "net", "nobody"],
}
COMMON_VALUES = ["", ",", "\0", "\ud800"]
VALUE_SIGNS = [
    "=",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "LIKE",
    "NOT LIKE",
    "STARTSWITH",
    "ENDSWITH",
    "*",
    "!*",
    "%",
    "CONTAINS",
]
LIST_SIGNS = ["IN", "NOT IN", "NOTIN"]
BARE_SIGNS = ["ISEMPTY", "ISNOTEMPTY", "EMPTY", "NOTEMPTY", "EMPTYSTRING", "ANYTHING"]
FIELD_SIGNS = ["SAMEAS", "NSAMEAS", "GT_FIELD", "LT_FIELD", "GT_OR_EQUALS_FIELD", "LT_OR_EQUALS_FIELD"]
DATE_CONDITIONS = [
    "ONToday",
    "NOTONToday",
    "ONLast 7 days@javascript:nothing()",
    "ONcustom@2025-12-29@2026-01-31 23:59:59",
    "NOTONcustom@2025-12-29@2026-01-31",
    *(f"RELATIVE{sign}@{span}" for sign in ("GT", "GE", "LT", "LE") for span in ("hour@ago@2", "dayofweek@ahead@30")),
    "RELATIVELTE@minute@ago@0",
    "RELATIVEGT@fortnight@ago@1",
    *(
        f"DATEPARTlabel@javascript:gs.datePart('{part}','{value}','{sign}')"
        for part, value in (("dayofweek", "saturday"), ("week", "53"), ("week", "1"), ("month", "1"), ("quarter", "4"))
        for sign in ("EE", "GT", "LE")
    ),
    "DATEPARTlabel@javascript:gs.datePart('year','2026','LT')",
]


Pair = tuple[str, str]


@st.composite
def condition_pairs(draw: st.DrawFn, paths: Sequence[str] = (*KINDS, "nonsense", "assigned_to.nonsense")) -> Pair:
    """Return two conditions on one field that differ in their values; some make no sense."""
    path = draw(st.sampled_from(paths))
    kind = KINDS.get(path, "string")
    values = st.sampled_from([*VALUES[kind], *COMMON_VALUES])
    shape = draw(st.integers(0, 11 if kind in {"instant", "day"} else 8))
    if shape > 8:
        return _twice(path + draw(st.sampled_from(DATE_CONDITIONS)))
    if shape == 8:
        unit = "@day" if path.endswith("_date") and draw(st.booleans()) else ""
        return _twice(path + draw(st.sampled_from(FIELD_SIGNS)) + draw(st.sampled_from([*KINDS, "nonsense"])) + unit)
    if shape == 7:
        return _twice(path + draw(st.sampled_from(BARE_SIGNS)))
    if shape == 6:
        sign, texts = "BETWEEN", st.tuples(values, values).map("@".join)
    elif shape > 3:
        sign, texts = draw(st.sampled_from(LIST_SIGNS)), st.lists(values, min_size=1, max_size=3).map(",".join)
    else:
        sign, texts = draw(st.sampled_from(VALUE_SIGNS)), values
    return path + sign + draw(texts), path + sign + draw(texts)


def _twice(text: str) -> Pair:
    return text, text


CHAINS = st.lists(condition_pairs().map(min), min_size=1, max_size=4).map("^OR".join)
QUERIES = st.lists(st.lists(CHAINS, min_size=1, max_size=3).map("^".join), min_size=1, max_size=3).map("^NQ".join)
