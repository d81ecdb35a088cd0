"""The change process: the rules for every write of a change, a change task, or an approval.

Begin with `change_rules`, which calls `moves` for states and `creation_presets` for models and templates. `moves` gives
the facts of `facts` to the state model of a change, and makes the moves that are possible, with their effects.
`blockers` and `next_states` show the same decision. `lifecycle` has the rules that all tasks share, and `numbering`
assigns their numbers.
"""
