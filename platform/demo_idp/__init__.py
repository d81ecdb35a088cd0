"""A demo identity provider, to try out and test integrations with."""

from demo_idp.factory import create_app

__all__ = ["create_app"]
