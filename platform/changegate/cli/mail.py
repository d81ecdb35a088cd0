"""`changegate mail`: try the mail server, and see and repeat mail that was not sent."""

import click
from sqlalchemy import select

from changegate.cli.instance import opened_instance
from changegate.database import commit, connection
from changegate.errors import ChangegateError
from changegate.extensions import settings
from changegate.models import SysEmail
from changegate.models.messages import MAIL_SENT, MAIL_STATES
from changegate.printable import printable
from changegate.services.mail.outbox import resend
from changegate.services.mail.sending import UNANSWERED, send_now
from changegate.services.mail.smtp import MailRefused, MailUncertain, ServerUnusable
from changegate.setting_parsers import MAIL_ADDRESS

MOST_MAILS_LISTED = 1000


@click.group()
def mail() -> None:
    """Try the mail server, and see and repeat mail that was not sent."""


@mail.command("test")
@click.argument("address")
def try_settings(address: str) -> None:
    """Send a mail to ADDRESS at once."""
    if not MAIL_ADDRESS.fullmatch(address):
        raise ChangegateError("ADDRESS must be a mail address in ASCII, such as ann@example.com.")
    with opened_instance():
        server = settings().smtp_url
        if server is None:
            raise ChangegateError("No mail server is set. Set CHANGEGATE_SMTP_URL and CHANGEGATE_MAIL_FROM.")
        try:
            send_now(server, address, "Test of Changegate", f"Changegate at {settings().base_url} can send mail.\n")
        except (MailRefused, ServerUnusable) as problem:
            raise ChangegateError(str(problem)) from None
        except MailUncertain:
            raise ChangegateError(UNANSWERED) from None
    click.echo(f"{server.host} has accepted the mail.")


@mail.command("list")
def show_mail() -> None:
    """List the mail that was not sent, newest first."""
    columns = SysEmail.__table__.c
    unsent = select(*columns).where(columns.state != MAIL_SENT).order_by(columns.sys_id.desc()).limit(MOST_MAILS_LISTED)
    with opened_instance():
        rows = connection().execute(unsent).all()
    for row in rows:
        error = f": {row.error_string}" if row.error_string else ""
        facts = (row.sys_id, f"{MAIL_STATES[row.state]:<9}", f"{row.sys_created_on:%Y-%m-%d %H:%M:%S} UTC")
        click.echo(printable(f"{'  '.join(facts)}  {row.recipients}  {row.subject}{error}"))


@mail.command("resend")
@click.argument("sys_id")
def send_again(sys_id: str) -> None:
    """Send a mail again that failed, or of which it is uncertain whether it arrived."""
    with opened_instance():
        resend(sys_id)
        commit()
    click.echo("The mail is sent again.")
