"""Hygiene: machine accounts, their use over time, findings, and the security score.

Begin with `assessment`: it passes the facts from `assembly` to the checks in the `checks_of_…` modules. `overview`
counts for the console.
"""
