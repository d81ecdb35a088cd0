"""The options of an integration, which follow from the list of its fields; the schema validates their values."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import click

from changegate.cli.integrations.key_files import NamedFile, read_certificate, read_shared_key, read_text
from changegate.models.integration_field import LIST_KINDS, Field, Kind
from changegate.models.integration_fields import FIELDS
from changegate.schemas.claim_condition_text import REPORT_ONLY

Command = Callable[..., Any]
# Fields that combine several options.
CONDITIONS, REPORTED = "claim_conditions", "reported_conditions"
FILES = ("certificates", "shared_keys", "jwks_file")
REPEATED = "May be repeated; an empty string clears the list."
PLACEHOLDER = "A value for a placeholder in the preset's issuer."
CERTIFICATE, KEY = "A certificate file, PEM or DER.", "A file that contains a shared key."
CONDITION = "A required condition, such as 'repository_id equals 123'."
REPORT = "A condition that is counted and never refuses."
UNITS = {"seconds": "SECONDS", "minutes": "MINUTES"}
METAVARS = {Kind.NUMBER: "NUMBER", Kind.DATE: "YYYY-MM-DD", Kind.USER: "USER", Kind.GROUP: "GROUP"}

# The options of fields that are given in another form than in the schema. The commands declare `--name` themselves.
OWN: Mapping[str, tuple[Command, ...]] = {
    "name": (),
    "preset": (
        click.option("--preset", help="A name from `integration presets`, which has defaults for other options."),
        click.option("--place", help="One of the preset's places; defaults to the first."),
        click.option("--placeholder", "placeholders", multiple=True, metavar="NAME=VALUE", help=PLACEHOLDER),
    ),
    "jwks": (click.option("--jwks-file", metavar="FILE", help="A file that contains a key set."),),
    "verifier_maps": (
        click.option("--certificate", "certificates", type=NamedFile(), multiple=True, help=CERTIFICATE),
        click.option("--shared-key-file", "shared_keys", type=NamedFile(), multiple=True, help=KEY),
    ),
    CONDITIONS: (
        click.option("--claim-condition", CONDITIONS, multiple=True, help=f"{CONDITION} {REPEATED}"),
        click.option("--report-only-condition", REPORTED, multiple=True, help=f"{REPORT} {REPEATED}"),
    ),
}


def option_name(field: Field) -> str:
    """Return the name of the option of a field: without its unit, and in the singular for a list."""
    name, _, unit = field.name.rpartition("_")
    name = name if unit in UNITS else field.name
    name = name.removesuffix("s") if field.kind in LIST_KINDS else name
    return field.option or name.replace("_", "-")


def _options() -> Iterator[Command]:
    for field in FIELDS.values():
        yield from OWN[field.name] if field.name in OWN else (_option(field),)


def _option(field: Field) -> Command:
    name = option_name(field)
    if field.kind == Kind.SWITCH:
        return click.option(f"--{name}/--no-{name}", field.name, default=None, help=f"{field.label}. {field.hint}")
    texts = [field.hint or f"{field.label}."]
    if field.choices:
        texts.append(f"One of {', '.join(field.choices)}.")
    if field.kind in LIST_KINDS:
        texts.append(REPEATED)
        return click.option(f"--{name}", field.name, multiple=True, help=" ".join(texts))
    metavar = UNITS.get(field.name.rpartition("_")[2], METAVARS.get(field.kind))
    return click.option(f"--{name}", field.name, metavar=metavar, help=" ".join(texts))


OPTIONS = tuple(_options())


def integration_options(command: Command) -> Command:
    """Give a command the options of every field but the name."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given options in the form of the schema, with files read; raises `OSError` and `InputInvalid`."""
    given = {name: value for name, value in options.items() if value is not None and value != ()}
    fields = {name: _value(name, value) for name, value in given.items() if name not in (*FILES, REPORTED)}
    if REPORTED in given:
        reported = [f"{REPORT_ONLY} {text}" for text in given[REPORTED] if text.strip()]
        fields[CONDITIONS] = [*fields.get(CONDITIONS, []), *reported]
    if "jwks_file" in given:
        fields["jwks"] = read_text(given["jwks_file"], "jwks")
    maps = [read_certificate(named) for named in given.get("certificates", ())]
    maps += [read_shared_key(named) for named in given.get("shared_keys", ())]
    return fields | ({"verifier_maps": maps} if maps else {})


def keep_other_conditions(
    fields: dict[str, Any], options: Mapping[str, Any], stored: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the fields, with the stored conditions of a kind (enforced, report-only) that was not given."""
    if CONDITIONS not in fields:
        return fields
    kept = [condition for condition in stored if not options[REPORTED if condition["report_only"] else CONDITIONS]]
    return fields | {CONDITIONS: [*kept, *fields[CONDITIONS]]}


def _value(name: str, value: Any) -> Any:
    if name == "placeholders":
        return dict(_pair(text) for text in value)
    return [text for text in value if text.strip()] if isinstance(value, tuple) else value


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError("Write --placeholder as NAME=VALUE.")
    return name.strip(), value
