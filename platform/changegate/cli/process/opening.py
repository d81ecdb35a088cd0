"""What the commands of the process have in common: their file, and who writes."""

import click

from changegate.cli.yaml_files import read_yaml_file
from changegate.errors import ChangegateError, RecordNotFound
from changegate.printable import printable
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.integrations.authority import COMMAND_LINE
from changegate.services.process_files.reading import FileRecord, read_process_file
from changegate.services.users.accounts import caller_of, get_user

# Who can run the command has full control of the instance.
SYSTEM = Caller("", COMMAND_LINE, Permissions(frozenset({"admin"})))
file_argument = click.argument("file", metavar="FILE")
as_user = click.option(
    "--as",
    "user_name",
    metavar="USER",
    help=f"Write as this user, with their roles; default: {COMMAND_LINE}.",
)


def read_records(file: str) -> list[FileRecord]:
    """Return the records of a file; `-` is stdin. Raises `ChangegateError`."""
    text, shown_as = read_yaml_file(file)
    return read_process_file(text, shown_as=shown_as)


def caller_named(user_name: str | None) -> Caller:
    """Return the active user with a name as a caller, or the command line itself. Raises `ChangegateError`."""
    if user_name is None:
        return SYSTEM
    try:
        user = get_user(user_name)
    except RecordNotFound:
        raise ChangegateError(f"There is no user {printable(user_name)}.") from None
    if not user.is_active:
        raise ChangegateError(f"The user {printable(user_name)} is inactive or locked out.")
    return caller_of(user)
