"""OAuth: clients, grants, access and refresh tokens, introspection, revocation, events, and ID tokens.

Begin with `client_authentication` and `grant_types`. Each grant is a module, such as `jwt_bearer_grant`; `issuing`
makes the token of every exchange, `event_row` builds its row, and `events` writes it. `access_tokens` finds the caller
of a token.
"""
