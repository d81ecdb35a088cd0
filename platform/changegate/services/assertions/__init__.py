"""Assertions: from untrusted bytes to a verified assertion, with a report of every rule.

Begin with `assertion`: `UnverifiedAssertion.verify` returns a `VerifiedAssertion`, and only that has a subject. The
rules are in `header_policy`, `key_choice`, `claim_checks` and `claim_conditions`; `trust_policy` says which of them
apply.
"""
