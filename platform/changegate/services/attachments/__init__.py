"""Attachments: files that belong to records (docs/reference/other-apis.md#attachment)."""
