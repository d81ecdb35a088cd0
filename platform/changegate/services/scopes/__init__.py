"""Auth scopes: stored, checked against the tables that are served, and described in sentences.

Begin with `scopes`. `rules` turns the stored rules of a token's scopes into the policy that `access` evaluates.
"""
