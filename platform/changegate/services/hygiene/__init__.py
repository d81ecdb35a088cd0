"""Hygiene: machine accounts, how they are used over time, findings, and the score.

Begin with `assessment`: it gives the facts that `assembly` puts together to the `checks_of_…` modules. `overview`
counts for the console.
"""
