"""OAuth: clients, grants, access and refresh tokens, introspection, revocation, events, and ID tokens.

Begin with `clients` and `grant_types`. Each grant is a module, such as `jwt_bearer_grant`; `issuing` ends every
exchange and `events` writes it. `access_tokens` finds the caller behind a token.
"""
