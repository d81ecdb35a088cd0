"""The engine of the Table API: records of any registered table, without knowing a table by name.

Begin with `registry`, which defines tables. `visibility` limits every statement to the rows that the caller may see,
and `walks` follows references. The packages, from highest to lowest: `writing`, `reading`, `queries`, `display`. Each
imports only lower packages and the modules here.
"""
