"""Changegate: a change desk that lets automation in by what an identity provider signed."""

from changegate.factory import create_app

__all__ = ["create_app"]
