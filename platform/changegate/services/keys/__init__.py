"""Keys: key sets are fetched, parsed and cached; certificates, shared keys, and the sealing of secrets.

Begin with `key_store`, which gives the keys of a `key_source` from the cache or the provider. `jwks_fetch` fetches
within `url_policy` and `address_policy`; `key_set` parses; `signature` verifies.
"""
