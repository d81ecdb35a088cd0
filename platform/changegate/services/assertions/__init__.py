"""Assertions: verification of untrusted bytes, with a report of every rule.

Begin with `assertion`: `UnverifiedAssertion.verify` returns a `VerifiedAssertion`, the only type with a trusted
subject. The rules are in `header_policy`, `key_choice`, `claim_checks`, and `claim_conditions`; `trust_policy` holds
what an integration requires.
"""
