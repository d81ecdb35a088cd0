"""Auth scopes: their storage, their checks against the served tables, and their description in sentences.

Begin with `scopes`. `rules` turns the stored rules of a token's scopes into the policy that `access` evaluates.
"""
