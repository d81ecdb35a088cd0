"""The figures of the dashboard: of the records that a user may read, or stored by a job.

Begin with `charts`, which lists the charts and numbers. `figures` reads the figures, and `kept` stores them if there
are many changes.
"""

from changegate.services.dashboard.kept import find_figures

__all__ = ["find_figures"]
