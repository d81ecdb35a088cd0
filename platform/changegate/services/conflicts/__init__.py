"""Conflicts of changes: what is planned at the same time for the same items or people.

Begin with `overlaps`, the statement that finds them. `detection` stores them for both changes; `slots` finds times
without conflicts.
"""
