"""Display: the columns that a response needs, their rows, and their form on the wire.

Begin with `selections`, then `rows` and `rendering`. `display_values` adds names, labels, and journals to the stored
values.
"""
