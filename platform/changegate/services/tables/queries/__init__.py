"""Encoded queries: parsing of their text, and translation of their conditions to SQL clauses.

Begin with `encoded_query`, the parser, and `clauses`, which translates the conditions. `operators` lists the operators.
"""
