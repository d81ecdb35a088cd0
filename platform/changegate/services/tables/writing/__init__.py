"""Writing: records are created, changed and deleted, with their trail, journals and dependent rows.

Begin with `records`; every write passes there. `inputs` and `references` parse what was sent, `written_rows` holds
the statements, `parts` and `referrers` follow a deletion, and `idempotency` creates a record once.
"""
