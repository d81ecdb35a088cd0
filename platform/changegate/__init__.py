"""Changegate: a change management server that trusts identity providers instead of stored secrets."""

from changegate.factory import create_app

__all__ = ["create_app"]
