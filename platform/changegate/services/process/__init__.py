"""The change process: every write of a change, a change task or an approval passes the rules here.

Begin with `change_rules`, which calls `transitions` for states and `creation_presets` for models and templates.
What all tasks have in common is in `lifecycle`, their numbers in `numbering`.
"""
