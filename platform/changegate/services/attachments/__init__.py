"""Attachments: files that belong to records (rest_api.md §3.3)."""
