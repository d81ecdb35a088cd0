"""Times on pages: by the clock of the person who is signed in, UTC for everybody else."""

from datetime import UTC, datetime, tzinfo

from flask_login import current_user

from changegate.console.guards import caller


def time_zone() -> tzinfo:
    """Return the time zone that times are shown and typed in."""
    own = caller().time_zone if current_user.is_authenticated else None
    return own or UTC


def local(moment: datetime) -> datetime:
    """Return an instant in that time zone."""
    return moment.astimezone(time_zone())


def shown(moment: datetime) -> str:
    """Return an instant in words, with the name of the time zone."""
    return f"{local(moment):%Y-%m-%d %H:%M:%S} {time_zone()}"


def parse_local(text: str) -> datetime | None:
    """Return the instant that a person typed, in UTC; None for what is not a time.

    A time with an offset means what it says; a local time that a clock change skips or repeats is read as everywhere.
    """
    try:
        found = datetime.fromisoformat(text)
        return (found.replace(tzinfo=time_zone()) if found.tzinfo is None else found).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
