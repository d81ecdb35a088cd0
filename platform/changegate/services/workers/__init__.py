"""Workers of the Change Management API: work that a caller requests, and whose outcome the caller polls.

Begin with `workers`. A package that has a type of work registers a function for it by the decorator `does`.
"""
