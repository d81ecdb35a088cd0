"""The pages of a change: its record, form, moves, approvals, related lists, files, and activity.

Begin with `views`, and with `forms` for the form. `sections` defines which fields are shown and edited together,
`ribbon` shows what the change can do next, and `activity` merges everything that has happened to it.
"""
