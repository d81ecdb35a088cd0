"""Figures that jobs keep: exchanges by hour and day, how far they are counted, and those of the dashboard."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.database.packed import PackedJSON
from changegate.models.base import boolean, instant, integer, reference, string


class OAuthExchangeFigure(Base):
    """Exchanges of an hour or a day, UTC, that are alike: how many they are, and which of them was the latest.

    An hour can have several rows that differ in `latest` and the numbers only; readers add them up. Days that are over
    have figures of their own beside those of their hours. Refused calls of the APIs are not exchanges and not counted.
    """

    __tablename__ = "oauth_exchange_figure"
    __table_args__ = (Index(None, "is_day", "since"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    is_day: Mapped[bool] = boolean("Of a day")
    # The least correlation ID of the hour or day, so that figures compare with exchanges.
    since: Mapped[str] = mapped_column(String(32))
    latest: Mapped[str] = mapped_column(String(32))
    entity: Mapped[str | None] = reference("Integration", "oauth_entity", is_stored_loose=True)
    user: Mapped[str | None] = reference("User", "sys_user", is_stored_loose=True)
    # Of accepted exchanges only.
    algorithm: Mapped[str | None] = string("Algorithm", 20)
    is_accepted: Mapped[bool] = boolean("Accepted")
    reason: Mapped[str | None] = string("Reason", 40)
    exchanges: Mapped[int] = integer("Exchanges")
    # With a refresh token; a password that is exchanged for both tokens leaves a row that names itself.
    refreshed: Mapped[int] = integer("Refreshed")
    would_refuse: Mapped[int] = integer("Would have been refused")


class OAuthExchangeWatermark(Base):
    """The one row that shows how far the log is counted; a reader that counts holds it."""

    __tablename__ = "oauth_exchange_watermark"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    # Exchanges with lesser correlation IDs are in the figures, and no others.
    counted_until: Mapped[str] = mapped_column(String(32))
    # The day that is being counted, as `since` of its figures; those before have figures of their own.
    day: Mapped[str] = mapped_column(String(32))
    # Unused since migration 0056. Versions before it read the column.
    thinned_until: Mapped[str] = mapped_column(String(32), default="0" * 32, server_default="0" * 32)


class DashboardFigures(Base):
    """The figures of the dashboard for users who may read all changes; versions with other charts have other rows."""

    __tablename__ = "dashboard_figures"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    read_at: Mapped[datetime] = instant("Read")
    figures: Mapped[Any] = mapped_column(PackedJSON)
