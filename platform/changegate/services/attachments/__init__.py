"""Attachments: files that belong to records (docs/reference/other-apis.md#attachment).

Begin with `access`: callers may read or write a file if they may read or write its record. `upload` and `writing` store
files, and `reading` finds them.
"""
