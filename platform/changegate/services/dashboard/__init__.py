"""The figures of the dashboard: of the records that a user may read, or kept by a job.

Begin with `charts`, which is the list of what is counted. `figures` reads the figures, and `kept` has those of a desk
with many changes.
"""

from changegate.services.dashboard.kept import find_figures

__all__ = ["find_figures"]
