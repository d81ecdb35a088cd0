"""Configuration items of changes: their relationships, affected items, and impacted services.

Begin with `relations`, which follows relationships in SQL. `affected` and `impacted` write the rows of a change.
"""
