"""Writing: creation, update, and deletion of records, with their audit trail, journals, and dependent rows.

Begin with `records`, through which every write passes. `inputs` and `references` parse the sent fields, `written_rows`
holds the statements, `parts` and `referrers` follow a deletion, and `idempotency` creates a record only once.
"""
