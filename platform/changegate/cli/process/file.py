"""`changegate process export`, `apply`, and `diff`."""

import json
import sys
from collections.abc import Iterable

import click

from changegate.cli.instance import opened_instance
from changegate.cli.integrations.refusals import as_json
from changegate.cli.process.edit_texts import describe_edits, edit_values
from changegate.cli.process.opening import SYSTEM, as_user, caller_named, file_argument, read_records
from changegate.database import commit, rollback
from changegate.errors import ChangegateError
from changegate.printable import printable
from changegate.services.process_documents.documents import read_documents
from changegate.services.process_documents.kinds import KINDS
from changegate.services.process_documents.versions import current_version, documents_at
from changegate.services.process_files.applying import apply_records
from changegate.services.process_files.rendering import Documents, Renderer, named
from changegate.yaml_text import MAX_YAML_CHARACTERS

# Not 1, which stands for a file that is refused.
DIFFERENCES_FOUND = 3


@click.command()
@click.argument("names", nargs=-1, metavar="NAME")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice([kind.key for kind in KINDS]), help="May be repeated."
)
@click.option("--version", "number", type=click.IntRange(min=1), help="The process as it was in this version.")
def export(names: tuple[str, ...], kinds: tuple[str, ...], number: int | None) -> None:
    """Write records of the process, by default all of them, as YAML for apply.

    Shipped records are only named. Give their names to write them in full.
    """
    with opened_instance():
        documents = {kind: of_kind for kind, of_kind in _documents(number).items() if not kinds or kind.key in kinds}
        _require_names(documents, names)
        chosen = named(documents, names) if names else documents
        text = Renderer(SYSTEM).render_file(chosen, shipped_in_full=bool(names))
    if len(text) > MAX_YAML_CHARACTERS:
        raise ChangegateError("The file would be longer than apply reads. Export each kind, or some names, by itself.")
    click.echo(text, nl=False)


@click.command()
@file_argument
@as_user
@as_json
def apply(file: str, user_name: str | None, as_json: bool) -> None:
    """Make the process match a file; all of its records or none.

    Records are found by their names. Those that the file does not name are left unchanged. `-` reads stdin.
    """
    records = read_records(file)
    with opened_instance():
        caller = caller_named(user_name)
        edits = apply_records(records, caller)
        lines, values = list(describe_edits(edits, Renderer(caller))), edit_values(edits)
        commit()
    _say(lines, values, as_json)


@click.command()
@file_argument
@as_user
@as_json
@click.option("--exit-code", is_flag=True, help=f"Exit with code {DIFFERENCES_FOUND} if there are differences.")
def diff(file: str, user_name: str | None, as_json: bool, exit_code: bool) -> None:
    """Show what apply would change; nothing if nothing differs. All rules are checked, and nothing is written."""
    records = read_records(file)
    with opened_instance():
        caller = caller_named(user_name)
        # The records are written, too, and only the commit differs, so that the same errors are found.
        edits = [edit for edit in apply_records(records, caller) if edit.action != "keep"]
        lines, values = list(describe_edits(edits, Renderer(caller))), edit_values(edits)
        rollback()
    _say(lines, values, as_json)
    if edits and exit_code:
        sys.exit(DIFFERENCES_FOUND)


def _documents(number: int | None) -> Documents:
    if number is None:
        return {kind: read_documents(kind) for kind in KINDS}
    if number > current_version():
        raise ChangegateError(f"There is no version {number} yet. The current version is {current_version()}.")
    return documents_at(number)


def _require_names(documents: Documents, names: Iterable[str]) -> None:
    known = {document.name for of_kind in documents.values() for document in of_kind}
    if unknown := [name for name in names if name not in known]:
        raise ChangegateError(f"The process has no record named {printable(unknown[0])}.")


def _say(lines: Iterable[str], values: object, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(values))
        return
    for line in lines:
        click.echo(line)
