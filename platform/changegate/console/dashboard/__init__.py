"""The dashboard: figures of changes, each with the list that it counts.

`services.dashboard` reads the figures, `figures` links them to their lists, `views` is the page.
"""
