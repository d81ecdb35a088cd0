"""Lists and records of every table, driven by the dictionary: a table in the catalog has its pages.

Begin with `list_views`. `list_state` is what the URL of a list means, `columns` chooses what it shows, `crumbs`
describes its query in words, `condition_rows` builds one from a form, and `pages` knows the page of each record.
"""
