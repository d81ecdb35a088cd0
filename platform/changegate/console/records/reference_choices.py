"""Choices at a reference: the records that a typed name could mean, offered if it means none or several.

The page has a radio button for each of them, so that naming a record requires neither scripts nor a sys_id.
"""

from collections.abc import Iterator, Mapping, Sequence

from changegate.console.records.pages import noun_of, plural_of
from changegate.console.records.record_form import RecordForm, ReferenceChoice, changed_texts
from changegate.errors import ChangegateError, RequestUnreadable
from changegate.models.base import Entry
from changegate.services.access.caller import Caller
from changegate.services.tables.display.display_names import find_names
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import Condition, EncodedQuery, Order
from changegate.services.tables.reading.records import read_page
from changegate.services.tables.registry import Table, find_table, get_table
from changegate.services.tables.visibility import may_read
from changegate.services.tables.writing.references import resolve_references

MOST_CHOICES = 12
# Each word is searched for by a statement of its own.
MOST_WORDS = 5
_LONGEST_NAME = 80
# The fields that distinguish records of the same name; the first one that a table has is shown.
DISTINGUISHING = ("sttrm_model", "sys_class_name", "description", "sys_created_on")


def take_refusal(
    form: RecordForm, problem: ChangegateError, table: Table, caller: Caller, stored: Mapping[str, str]
) -> None:
    """Put the message of a refused write at its fields, with choices for each name that means no record or several."""
    sent = changed_texts(form, stored)
    unclear = _unclear_items(problem, table, caller, sent)
    if not unclear:
        form.take_error(problem)
    for name, item in unclear.items():
        target = get_table(str(table.entries[name].reference))
        form.choices[name], sentence = choices_for(target, caller, item, sent[name])
        form.errors[name] = [sentence]


def suggest(target: Table, caller: Caller, text: str) -> list[ReferenceChoice]:
    """Return the records that are suggested while a name is typed."""
    found = find_candidates(target, caller, text)
    return [_choice(target, each, found, text, text) for each in found]


def choices_for(target: Table, caller: Caller, item: str, text: str = "") -> tuple[list[ReferenceChoice], str]:
    """Return the records that an unclear name could mean, and a sentence about it; `text` is the list that it is in."""
    found = find_candidates(target, caller, item)
    return [_choice(target, each, found, text or item, item) for each in found], _sentence(target, item, found)


def explain_refusal(problem: ChangegateError, table: Table, caller: Caller, sent: Mapping[str, str]) -> str:
    """Return the message of a refused write where a page has no inputs for choices: it names the similar records."""
    sentences = []
    for name, item in _unclear_items(problem, table, caller, sent).items():
        target = get_table(str(table.entries[name].reference))
        similar = [each[target.login_field or target.display_field] for each in find_candidates(target, caller, item)]
        sentences.append(_sentence(target, item, ()) + (f" Similar names: {', '.join(similar)}." if similar else ""))
    return " ".join(sentences) or problem.sentence


def _unclear_items(problem: ChangegateError, table: Table, caller: Caller, sent: Mapping[str, str]) -> dict[str, str]:
    """Return the names in a refused write that mean no record or several, by field."""
    if not isinstance(problem, RequestUnreadable):
        return {}
    return {name: item for name, text in sent.items() if (item := _unclear_item(table, name, text, caller))}


def name_references(form: RecordForm, caller: Caller) -> None:
    """Replace sys_ids in the references of a form, which links and templates have, by names."""
    for each in form.fields:
        value, reference = form.values[each.name], each.entry.reference
        if each.kind == "reference" and reference and value:
            form.values[each.name] = find_names({reference: [value]}, caller).get(reference, {}).get(value, value)


def find_candidates(table: Table, caller: Caller, text: str) -> list[WireRecord]:
    """Return the active records whose names contain a text, or otherwise one of its first words.

    Names of which a word begins with the text come first: for "Tom", Tom Okafor before Release Automation.
    """
    name = text[:_LONGEST_NAME]
    searches = (name, *name.split()[:MOST_WORDS])
    return next((found for words in searches if (found := _containing(table, caller, words))), [])


def _containing(table: Table, caller: Caller, text: str) -> list[WireRecord]:
    names = [name for name in (table.display_field, table.login_field) if name]
    containing = _matching(table, caller, names, [Condition(name, "LIKE", text) for name in names])
    if all(any(each[name].lower().startswith(text.lower()) for name in names) for each in containing):
        # The search below would find the same records first.
        return containing
    at_start = [Condition(name, "STARTSWITH", text) for name in names]
    first = _matching(table, caller, names, [*at_start, Condition(table.display_field, "LIKE", f" {text}")])
    listed = {each["sys_id"] for each in first}
    return [*first, *(each for each in containing if each["sys_id"] not in listed)][:MOST_CHOICES]


def _matching(table: Table, caller: Caller, names: Sequence[str], chain: Sequence[Condition]) -> list[WireRecord]:
    active = ((Condition("active", "=", "true"),),) if "active" in table.columns else ()
    query = EncodedQuery(((tuple(chain), *active),), (Order(table.display_field),))
    fields = ("sys_id", *names, *(name for name in DISTINGUISHING if name in table.columns))
    shape = Shape("", DisplayValue.DISPLAY, exclude_reference_link=True, fields=fields)
    return list(read_page(table, caller, query, shape, limit=MOST_CHOICES, offset=0, counts=False).records)


def _unclear_item(table: Table, name: str, text: str, caller: Caller) -> str | None:
    """Return the first name in the text of a reference that means no record or several, or None."""
    entry = table.entries.get(name)
    target = find_table(entry.reference) if entry and entry.reference else None
    if entry is None or target is None or not may_read(target, caller.permissions):
        return None
    return next((item for item in _items(entry, text) if not is_clear(table, name, item, caller)), None)


def _items(entry: Entry, text: str) -> Iterator[str]:
    items = text.split(",") if entry.kind == "glide_list" else [text]
    return (item.strip() for item in items if item.strip())


def is_clear(table: Table, name: str, item: str, caller: Caller) -> bool:
    """Return whether a name in a reference means one record."""
    try:
        resolve_references(table, caller, {name: item}, by_display=True)
    except RequestUnreadable:
        return False
    return True


def _choice(target: Table, found: WireRecord, others: Sequence[WireRecord], text: str, item: str) -> ReferenceChoice:
    """Return a choice, which is sent as the text in which the record replaces the unclear item."""
    shown = found[target.display_field]
    if target.login_field:
        value, detail = found[target.login_field], found[target.login_field]
    else:
        is_unique = [each[target.display_field].lower() for each in others].count(shown.lower()) == 1
        value = shown if is_unique else found["sys_id"]
        detail = next((found[name] for name in DISTINGUISHING if found.get(name)), "")
    pieces = [value if each.strip() == item else each.strip() for each in text.split(",")]
    return ReferenceChoice(", ".join(pieces) if text.strip() != item else value, shown, detail)


def _sentence(target: Table, item: str, found: Sequence[WireRecord]) -> str:
    name = item[:_LONGEST_NAME]
    is_ambiguous = sum(each[target.display_field].lower() == item.lower() for each in found) > 1
    if is_ambiguous:
        return f"Several {plural_of(target).lower()} are called “{name}”. Choose one."
    choose = " Choose one of these, or enter another name." if found else ""
    return f"There is no {noun_of(target)} “{name}”.{choose}"
