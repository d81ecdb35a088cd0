"""The form of a record of any table: its fields from the dictionary, its values, and errors at the fields."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.sql.schema import ScalarElementColumnDefault
from werkzeug.datastructures import MultiDict

from changegate.console.local_times import time_zone
from changegate.console.records.cells import is_nameless
from changegate.console.records.pages import record_url
from changegate.errors import ChangegateError, InputInvalid
from changegate.models.base import Choices, Entry
from changegate.services.access.caller import Caller
from changegate.services.tables.choices import find_choices
from changegate.services.tables.dictionary import is_mandatory
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.registry import Table, table_of_users
from changegate.services.tables.values import render_value

LONGEST_LINE = 255
LONGEST_NOTE = 4000
# The end of the names of radio buttons that choose the record that a typed name means.
CHOICE = "-choice"
# What the messages of the engine begin with, and the list of labels in that of mandatory fields.
_OF_FIELD = re.compile(r"Field (?P<name>[a-z0-9_]+): (?P<problem>.*)", re.DOTALL)
_MANDATORY = re.compile(r".*The following fields are mandatory: (?P<labels>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FormField:
    """One input: what it is called, how it is edited, and where it links to."""

    name: str
    label: str
    kind: str
    entry: Entry
    choices: Choices = field(default_factory=dict)
    is_required: bool = False
    is_read_only: bool = False

    @property
    def is_wide(self) -> bool:
        """Return whether the input takes the whole width of the form."""
        return self.kind in ("text", "journal", "glide_list") or self.name == "short_description"

    @property
    def suggests(self) -> bool:
        """Return whether records are suggested while a name is typed."""
        return self.kind in ("reference", "glide_list") and bool(self.entry.reference)

    @property
    def hint(self) -> str:
        """Return what stands under the input."""
        if self.kind == "glide_date_time":
            return f"Time zone: {time_zone()}."
        if self.kind != "glide_list":
            return self.entry.description or ""
        users, _ = table_of_users()
        return f"{'User IDs or names' if self.entry.reference == users.name else 'Names'}, separated by commas."


@dataclass(frozen=True, slots=True)
class ReferenceChoice:
    """A record that a typed name could mean: the text to send, its name, and a detail that distinguishes it."""

    text: str
    name: str
    detail: str

    @property
    def full_name(self) -> str:
        """The name, with the detail if neither of them is the text to send."""
        return self.name if self.text in {self.name, self.detail} or not self.detail else f"{self.name} ({self.detail})"


@dataclass(slots=True)
class RecordForm:
    """The inputs of a form with their texts, the errors by input, and the records that unclear names could mean.

    `links` are the pages of the records that the stored references name.
    """

    fields: Sequence[FormField]
    values: dict[str, str]
    errors: dict[str, list[str]] = field(default_factory=dict)
    notices: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[ReferenceChoice]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> Mapping[str, str]:
        """Return the labels by name."""
        return {each.name: each.label for each in self.fields}

    def take_error(self, problem: ChangegateError) -> None:
        """Put the message of a refused write at the field that it is about, or above the form."""
        if isinstance(problem, InputInvalid):
            self.errors |= problem.fields
            return
        message = problem.sentence
        if (about := _OF_FIELD.fullmatch(message)) and about["name"] in self.labels:
            self.errors[about["name"]] = [about["problem"][:1].upper() + about["problem"][1:] + "."]
        elif missing := _MANDATORY.fullmatch(message):
            names = {each.label: each.name for each in self.fields}
            for label in missing["labels"].split(", "):
                self.errors[names.get(label, "form")] = ["Enter a value." if label in names else message]
        else:
            self.errors["form"] = [message]


def fields_of(table: Table, caller: Caller, *, is_new: bool) -> list[FormField]:
    """Return the inputs of a record: those that the caller may write, and journals; others are read-only."""
    may_write = table.access.admits("create" if is_new else "update", caller.permissions)
    readable = (name for name in table.fields_for(caller.permissions) if not _is_stamp(name, table.entries[name]))
    shown = [name for name in readable if not (is_new and table.entries[name].is_read_only)]
    choosing = [name for name in shown if table.entries[name].choices is not None]
    choices = find_choices(table.name, choosing, active_only=True)
    fields = [input_of(table, name, choices.get(name, {}), may_write=may_write) for name in shown]
    if not may_write:
        return fields
    if not is_new:
        entry = Entry("string", "", LONGEST_NOTE)
        journals = table.journals_for(caller.permissions)
        fields += [FormField(name, table.journal_fields[name], "journal", entry) for name in journals]
    # Secrets can be written and never read.
    secrets = [
        FormField(name, entry.label, "password", entry) for name, entry in table.entries.items() if entry.is_secret
    ]
    return [*fields, *secrets]


def _is_stamp(name: str, entry: Entry) -> bool:
    """Return whether a field is one of those that every record has, and not the class that a user may choose."""
    return name.startswith("sys_") and (name != "sys_class_name" or entry.is_read_only)


def input_of(table: Table, name: str, choices: Choices, *, may_write: bool = True) -> FormField:
    """Return the input of a field with the choices that it offers."""
    entry = table.entries[name]
    return FormField(
        name,
        entry.label,
        kind_of_input(entry),
        entry,
        choices,
        is_required=is_mandatory(table, name),
        is_read_only=entry.is_read_only or not may_write,
    )


def kind_of_input(entry: Entry) -> str:
    """Return how a field is edited."""
    if entry.choices is not None:
        return "choice"
    if entry.kind == "string" and (entry.max_length or 0) > LONGEST_LINE:
        return "text"
    return entry.kind


def form_of_record(fields: Sequence[FormField], record: WireRecord) -> RecordForm:
    """Return the form of a stored record, whose members hold display values and stored values."""
    values = {each.name: _text_of(each, record) for each in fields}
    return RecordForm(fields, values, links=dict(_links_of(fields, record)))


def _links_of(fields: Sequence[FormField], record: WireRecord) -> Iterator[tuple[str, str]]:
    for each in fields:
        member = record.get(each.name)
        if member and member["value"] and each.entry.kind == "reference" and not is_nameless(each.entry, member):
            url = record_url(str(each.entry.reference), str(member["value"]))
            if url:
                yield each.name, url


def _text_of(each: FormField, record: WireRecord) -> str:
    # What is entered in a journal is added to it.
    if each.name not in record or each.kind == "journal":
        return ""
    member = record[each.name]
    return str(member["value"] if each.kind in ("choice", "boolean") else member["display_value"])


def form_of_defaults(table: Table, fields: Sequence[FormField], sent: Mapping[str, str]) -> RecordForm:
    """Return the form of a new record: the texts that were sent, and the defaults of other fields."""
    columns = table.source.c
    defaults = {
        each.name: render_value(each.entry, default.arg)
        for each in fields
        if each.name in columns and isinstance(default := columns[each.name].default, ScalarElementColumnDefault)
    }
    return RecordForm(fields, {each.name: sent.get(each.name, defaults.get(each.name, "")) for each in fields})


def form_as_sent(fields: Sequence[FormField], sent: MultiDict[str, str]) -> RecordForm:
    """Return the form with the texts that were sent."""
    return RecordForm(fields, {each.name: _sent_text(each, sent) for each in fields})


def _sent_text(each: FormField, sent: MultiDict[str, str]) -> str:
    if each.kind == "boolean":
        return "true" if each.name in sent else "false"
    if chosen := sent.get(each.name + CHOICE):
        return chosen
    # Browsers send line breaks as CRLF; records are stored with LF, as the API stores them.
    return sent.get(each.name, "").replace("\r\n", "\n")


def changed_texts(form: RecordForm, stored: Mapping[str, str]) -> dict[str, str]:
    """Return the texts of writable fields that differ from those of the stored record."""
    writable = (each.name for each in form.fields if not each.is_read_only)
    # Clients may have stored CRLF, which a form cannot send back unchanged.
    before = {name: text.replace("\r\n", "\n") for name, text in stored.items()}
    return {name: form.values[name] for name in writable if form.values[name] != before.get(name, "")}
