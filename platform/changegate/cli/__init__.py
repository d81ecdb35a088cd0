"""The `changegate` command. Exit codes: 0 success, 1 refused with one sentence on stderr, 2 wrong usage."""

import sys
from collections.abc import Sequence
from typing import Never

import click
from sqlalchemy.exc import SQLAlchemyError

from changegate.cli.cluster import cluster
from changegate.cli.demo import demo
from changegate.cli.findings import findings
from changegate.cli.history import history
from changegate.cli.integrations import integration
from changegate.cli.job import job
from changegate.cli.mail import mail
from changegate.cli.prepare import prepare
from changegate.cli.process import process
from changegate.cli.purge import purge
from changegate.cli.scope import scope
from changegate.cli.serve import serve
from changegate.cli.sign_on import sign_on
from changegate.cli.token_key import token_key
from changegate.cli.user import user
from changegate.cli.worker import worker
from changegate.config import SettingInvalid
from changegate.errors import ChangegateError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Run a change management server that trusts identity providers instead of stored secrets."""


for command in (
    prepare,
    serve,
    worker,
    cluster,
    job,
    mail,
    purge,
    demo,
    user,
    sign_on,
    integration,
    process,
    scope,
    findings,
    token_key,
    history,
):
    group.add_command(command)


def main(args: Sequence[str] | None = None) -> None:
    """Run a command; print a refusal as one sentence and exit with code 1."""
    try:
        group(args, prog_name="changegate")
    except ChangegateError as refusal:
        _give_up(refusal.detail or refusal.message)
    except SettingInvalid as refusal:
        _give_up(str(refusal))
    except SQLAlchemyError as problem:
        # Ctrl-C during a statement of SQLite, which has no time limit in commands.
        first = _first_of(problem)
        if getattr(getattr(first, "orig", None), "sqlite_errorname", None) == "SQLITE_INTERRUPT":
            _give_up("Interrupted. What was committed so far stays.")
        _give_up(f"The database cannot be used: {_first_line(first)}")
    except OSError as problem:
        _give_up(f"{problem.filename or 'The system'}: {problem.strerror or type(problem).__name__}.")


def _give_up(sentence: str) -> Never:
    click.echo(f"changegate: {sentence}", err=True)
    sys.exit(1)


def _first_of(problem: BaseException) -> SQLAlchemyError:
    """Return the first error of the database: what a migration does after it, on a full disk for example, fails too."""
    errors = [problem]
    while before := errors[-1].__cause__ or errors[-1].__context__:
        errors.append(before)
    return [error for error in errors if isinstance(error, SQLAlchemyError)][-1]


def _first_line(problem: SQLAlchemyError) -> str:
    """Return the message of the database without the statement, whose parameters may be secrets."""
    said = str(getattr(problem, "orig", None) or type(problem).__name__)
    return said.partition("\n")[0].strip()
