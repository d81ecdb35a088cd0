"""Retention: what is deleted some time after a change was closed.

Begin with `closed_changes`. Events have their own cleanups in `oauth.events`; all cleanups are listed by
`jobs.cleanups`, and `changegate purge` runs them. History, approvals, and decisions are never deleted.
"""

from changegate.services.retention.closed_changes import delete_audit, delete_files

__all__ = ["delete_audit", "delete_files"]
