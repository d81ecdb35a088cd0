"""Inbound integrations: assertions, key sets, replay, scopes, grants and access tokens."""
