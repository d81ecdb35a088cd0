"""Encoded queries: from text to conditions to SQL clauses.

Begin with `encoded_query`, which parses, and `clauses`, which makes SQL of the conditions. `operators` lists what
can be compared and how.
"""
