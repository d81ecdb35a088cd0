"""Schedules: freezes of changes, and maintenance windows of configuration items.

Begin with `spans`, the pure evaluator of wall-clock spans, whose dates come from `recurrence`. `stored` reads the
schedules from the database, and `freezes` finds those that cover a change. `row_rules` has the rules for writes.
"""
