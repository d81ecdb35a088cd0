"""Delegations: users who answer approvals for another user during a period."""

from datetime import datetime

from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import Record, boolean, instant, reference


class SysUserDelegate(Record, Base):
    """A delegation from `user` to `delegate`; `ends` is the first instant at which it no longer applies."""

    __tablename__ = "sys_user_delegate"

    user: Mapped[str] = reference("User", "sys_user", ondelete="CASCADE", index=True)
    delegate: Mapped[str] = reference("Delegate", "sys_user", ondelete="CASCADE", index=True)
    starts: Mapped[datetime] = instant("Starts")
    ends: Mapped[datetime] = instant("Ends")
    approvals: Mapped[bool] = boolean("Approvals", default=True)
