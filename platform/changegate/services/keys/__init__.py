"""Keys that verify signatures: key sets (fetched, parsed, cached), certificates, and shared keys.

Begin with `key_store`, which returns the keys of a `key_source` from the cache or the provider. `jwks_fetch` fetches
within `url_policy` and `address_policy`; `key_set` parses; `signature` verifies.
"""
