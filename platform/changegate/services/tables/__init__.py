"""The engine of the Table API: records of any table that the catalog registers; it knows none of them by name.

Begin with `registry`: what a table is. `visibility` limits every statement to what a caller may see, `walks`
follows references. The packages, the highest first: `writing`, `reading`, `queries`, `display`; each imports only
lower ones and the modules here.
"""
