"""The kinds of notifications, which users switch for each channel, and the sentences of the events."""

from collections.abc import Mapping
from dataclasses import dataclass

CONSOLE, MAIL = "console", "mail"
CHANNELS: Mapping[str, str] = {CONSOLE: "Console", MAIL: "Mail"}
EVERYWHERE = frozenset(CHANNELS)


@dataclass(frozen=True, slots=True)
class NotificationKind:
    """A kind: its label, why a user gets it, and the channels of users who have not chosen."""

    label: str
    reason: str
    channels: frozenset[str] = EVERYWHERE


APPROVAL_REQUESTED, APPROVAL_VOIDED, APPROVAL_DECIDED = "approval_requested", "approval_voided", "approval_decided"
ASSIGNED, GROUP_ASSIGNED, OWN, WATCHED = "assigned", "group_assigned", "own", "watched"
FREEZE_AHEAD, EXPIRING, APPROVERS_MISSING = "freeze_ahead", "expiring", "approvers_missing"
KINDS: Mapping[str, NotificationKind] = {
    APPROVAL_REQUESTED: NotificationKind("Your approval is requested", "your approval is requested"),
    APPROVAL_VOIDED: NotificationKind("Your approval was voided", "you approved the change"),
    APPROVAL_DECIDED: NotificationKind(
        "A change of yours is approved or rejected", "you requested or opened the change, or it is assigned to you"
    ),
    ASSIGNED: NotificationKind("A change or task is assigned to you", "it is assigned to you"),
    GROUP_ASSIGNED: NotificationKind(
        "A change or task is assigned to one of your groups", "it is assigned to your group", frozenset()
    ),
    OWN: NotificationKind(
        "Moves and comments of your changes and tasks",
        "you requested or opened it, or it is assigned to you",
        frozenset({CONSOLE}),
    ),
    WATCHED: NotificationKind("Moves and comments of what you watch", "you are on its watch list"),
    FREEZE_AHEAD: NotificationKind(
        "A freeze covers the plan of a change of yours", "you requested the change, or it is assigned to you"
    ),
    EXPIRING: NotificationKind(
        "An approval, a review, or a secret is due", "you are asked for it, or are responsible for the integration"
    ),
    APPROVERS_MISSING: NotificationKind("A change waits because nobody can approve it", "you are a change manager"),
}

# The sentences of events, which the title of the record follows.
SENTENCES: Mapping[str, str] = {
    "approval_requested": "Approval requested",
    "approval_requested_again": "Approval voided and requested again",
    "approval_voided": "Approval voided",
    "approval_waits": "Approval still requested",
    "approved": "Approved",
    "rejected": "Rejected",
    "assigned": "Assigned to you",
    "group_assigned": "Assigned to your group",
    "moved": "Moved",
    "commented": "Comment",
    "noted": "Work note",
    "freeze_ahead": "Planned in a freeze",
    "review_due": "Review of an integration due",
    "secret_expires": "Client secret expires",
    "certificate_expires": "Certificate expires",
    "approvers_missing": "Nobody can approve",
}
