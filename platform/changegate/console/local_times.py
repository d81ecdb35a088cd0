"""Times on pages, in the time zone of the signed-in user, otherwise in UTC."""

from datetime import UTC, datetime, tzinfo

from flask_login import current_user

from changegate.console.guards import caller


def time_zone() -> tzinfo:
    """Return the time zone of times on pages and in forms."""
    own = caller().time_zone if current_user.is_authenticated else None
    return own or UTC


def local(moment: datetime) -> datetime:
    """Return a time in that time zone."""
    return moment.astimezone(time_zone())


def shown(moment: datetime) -> str:
    """Return a time as text, with the name of the time zone."""
    return f"{local(moment):%Y-%m-%d %H:%M:%S} {time_zone()}"


def parse_local(text: str) -> datetime | None:
    """Return a typed time in UTC, or None if it is not a valid time.

    An offset in the text takes precedence over the time zone. A local time that a clock change skips or repeats is
    resolved as Python does with `fold=0` (PEP 495).
    """
    try:
        time = datetime.fromisoformat(text)
        return (time.replace(tzinfo=time_zone()) if time.tzinfo is None else time).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
