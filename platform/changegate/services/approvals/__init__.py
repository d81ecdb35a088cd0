"""Approvals of changes: policies and their rules, requests, answers, and decisions with their explanation.

Begin with `requests`, which selects a policy and asks people, and `answers`. `rollup` is pure and counts the answers.
The package changes no state of a change: it returns an `Outcome`, and the process writes it. `four_eyes` knows who may
not approve a change, `people` which accounts belong to one person, and `delegation` who answers for whom.
"""
