"""The history of changes, policies, and models: append-only entries in hash chains.

Begin with `chain`, which appends entries. `actors` names who acts. This package takes plain values and knows no model
of a change.
"""
