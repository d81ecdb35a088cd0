"""Provenance: the workload that created a task, and the quota of tasks that an integration may create.

Begin with `provenance`. `claim_layouts` maps the claims of each provider to fields, `run_urls` builds the address of a
pipeline run, and `creation_quota` enforces quotas.
"""
