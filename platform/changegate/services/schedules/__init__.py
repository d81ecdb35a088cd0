"""Schedules: freezes of changes, and maintenance windows of configuration items.

Begin with `spans`, the pure evaluator of wall-clock spans, whose dates come from `recurrence`. `stored` reads the
schedules from the database, `freezes` finds those that cover a change, `overrides` leaves out those that do not apply
to it, and `windows` combines all into allowed and frozen spans. `row_rules` has the rules for writes. See
docs/schedules.md.
"""
