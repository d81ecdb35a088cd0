"""What the product does, without HTTP.

The packages are layers, the highest first: catalog, hygiene, integrations, oauth, assertions, keys; then scopes,
process and attachments, which do not know each other; approvals, provenance, users, tables, access, jobs. A package
imports only lower ones.
"""
