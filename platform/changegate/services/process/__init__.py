"""The change process: the rules for every write of a change, a change task, or an approval.

Begin with `change_rules`, which calls `transitions` for states and `creation_presets` for models and templates.
`lifecycle` has the rules that all tasks share, and `numbering` assigns their numbers.
"""
