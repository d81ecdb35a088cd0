"""Provenance: which workload created a task, and how many tasks an integration may create.

Begin with `provenance`. `claim_layouts` knows the claims of each provider, `run_urls` the address of a run, and
`creation_quota` counts.
"""
