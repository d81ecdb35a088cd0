"""Attachments: files that belong to records (docs/reference/other-apis.md#attachment).

Begin with `access`: a file is as readable and as writable as its record. `upload` and `writing` store, `reading`
finds.
"""
