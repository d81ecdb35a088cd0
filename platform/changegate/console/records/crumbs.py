"""The query of a list in words: one crumb for each condition, with links that go back to it or remove it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from changegate.console.records.computed_lists import find_labels
from changegate.console.records.condition_rows import operator_of, shown_value
from changegate.console.records.list_state import ListState
from changegate.models.base import SYS_ID_LENGTH
from changegate.services.access.caller import Caller
from changegate.services.tables.display.display_names import Names, find_names
from changegate.services.tables.queries.encoded_query import TEXT_SEARCH, AnyOf, Condition, Term, render_term


@dataclass(frozen=True, slots=True)
class Crumb:
    """The words of one chain of conditions, the list that ends with it, and the list without it.

    `starts_alternative` is true for the first condition of an alternative to all before it.
    """

    words: str
    upto: ListState
    without: ListState
    starts_alternative: bool


def crumbs_of(state: ListState, caller: Caller) -> list[Crumb]:
    """Return the crumbs of the conditions of a list."""
    conditions = [term for term in state.conditions.terms if isinstance(term, Condition)]
    names = _names(state, conditions, caller)
    choices = find_labels(state.table, {term.field for term in conditions if term.field in state.table.entries})
    crumbs = []
    groups = state.conditions.alternatives
    for group_at, group in enumerate(groups):
        for chain_at, chain in enumerate(group):
            upto = (*groups[:group_at], group[: chain_at + 1])
            rest = group[:chain_at] + group[chain_at + 1 :]
            without = (*groups[:group_at], *((rest,) if rest else ()), *groups[group_at + 1 :])
            crumbs.append(
                Crumb(
                    _chain_words(state, chain, names, choices),
                    state.with_conditions(replace(state.conditions, alternatives=upto)),
                    state.with_conditions(replace(state.conditions, alternatives=without)),
                    starts_alternative=group_at > 0 and chain_at == 0,
                )
            )
    return crumbs


def _chain_words(state: ListState, chain: AnyOf, names: Names, choices: Mapping[str, Mapping[str, str]]) -> str:
    """Return the words of terms joined by OR; a term of the same field and operator adds its value only."""
    parts = [_words(state, term, names, choices) for term in chain]
    heads = ["", *(head for head, _ in parts)]
    return " or ".join(
        value if head == before else f"{head} {value}".strip()
        for before, (head, value) in zip(heads, parts, strict=False)
    )


def _words(state: ListState, term: Term, names: Names, choices: Mapping[str, Mapping[str, str]]) -> tuple[str, str]:
    """Return the field and operator of a term in words, and its value; other terms only have their text."""
    if not isinstance(term, Condition):
        return "", render_term(term)
    if term.field == TEXT_SEARCH:
        return "Text contains", term.value
    entry, operator = state.table.entries.get(term.field), operator_of(term)
    if entry is None or operator is None:
        return "", render_term(term)
    value = shown_value(term, entry)
    if entry.reference:
        value = names.get(entry.reference, {}).get(value, value)
    labels = choices.get(term.field, {})
    shown = ", ".join(labels.get(part, part) for part in value.split(",")) if labels else value
    return f"{entry.label} {operator.label.partition(',')[0]}", shown


def _names(state: ListState, conditions: Iterable[Condition], caller: Caller) -> Names:
    """Return the display names of the records that conditions name by sys_id."""
    sys_ids: dict[str, list[str]] = {}
    for term in conditions:
        entry = state.table.entries.get(term.field)
        if entry is not None and entry.reference and len(term.value) == SYS_ID_LENGTH:
            sys_ids.setdefault(entry.reference, []).append(term.value)
    return find_names(sys_ids, caller)
