"""Access: the caller of a request, and what the caller may do.

Begin with `caller`. `permissions` holds what the caller may do, without the person; `scope_policy` evaluates the
scopes of a token, and `time_zones` lists the zones that callers may choose.
"""
