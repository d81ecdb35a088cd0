"""The risk of a change, calculated from ordered conditions (docs/risk.md).

Begin with `calculation`. `conditions` reads the active conditions, and `condition_rules` validates writes of them.
"""
