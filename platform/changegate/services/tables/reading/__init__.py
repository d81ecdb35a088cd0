"""Reading: lists, single records, and aggregates, limited to what the caller may see.

Begin with `records`. `matching` finds the sys_ids of a page and the total count, and `aggregates` groups and sums.
"""
