"""Reading: lists, single records and aggregates, within what the caller may see.

Begin with `records`. `matching` finds the sys_ids of a page and their count, `aggregates` groups and sums.
"""
