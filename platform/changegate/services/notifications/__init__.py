"""Notifications: who is told what, in the console and by mail.

    write of a record ──Observer──> tell() ──job, after the commit──> deliver() ──> notifications, outbox of mail
    daily and hourly jobs ──────────> tell()

A transaction determines whom an event concerns from the record that it writes; without such people, it does nothing.
The job reads their settings, and what each of them may read of the record. Begin with `kinds`; `observers` has the
events, `delivery` the job, `inbox` what a user sees.
"""

from changegate.services.notifications import inbox, upcoming
from changegate.services.notifications.delivery import deliver

__all__ = ["deliver", "inbox", "upcoming"]
