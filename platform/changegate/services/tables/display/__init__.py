"""Display: which columns an answer needs, their rows, and what they look like on the wire.

Begin with `selections`, then `rows` and `rendering`. `display_values` are names, labels and journals beside the
stored values.
"""
