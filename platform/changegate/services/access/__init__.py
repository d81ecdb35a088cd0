"""Access: who is calling, and what that allows.

Begin with `caller`. `scope_policy` evaluates the scopes of a token; `time_zones` knows the zones that callers may
choose.
"""
