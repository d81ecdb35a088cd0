"""Evidence: daily signed roots of all histories, and the verification of what was recorded.

Begin with `verification`, which lists everything that is wrong. `roots` makes, stores, and exports roots, and
`four_eyes` checks decisions by what the history of a change contains.
"""

from changegate.services.evidence.roots import make_daily_root

__all__ = ["make_daily_root"]
