"""The Change Management API: docs/change-management-api.md.

Begin with `calls`, which all views share: parameters, input, the form of records, and refusals.
"""

from changegate.api.change import approvals, changes, models, planning, process, tasks, templates, windows, workers
from changegate.api.change.calls import bp

__all__ = ["approvals", "bp", "changes", "models", "planning", "process", "tasks", "templates", "windows", "workers"]
