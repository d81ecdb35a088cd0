"""Approvals: the page of one, the list of those that wait for the user, and delegations.

Begin with `views`. `block` holds what a page shows about an approval, and `answering` gives an answer to the version
that was shown.
"""
