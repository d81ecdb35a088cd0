"""The dashboard: figures of changes, each with the list that it counts.

Begin with `charts`, which is the list of what is shown. `figures` reads the numbers, `views` is the page.
"""
