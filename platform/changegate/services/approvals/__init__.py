"""Approvals of changes: policies and their rules, requests, answers, and decisions with their explanation.

Begin with `rounds`, the approvals of a change and what is written about them. `requests` selects a policy and asks
people, `answers` takes their answers, and `counting` counts them by `rollup`, which is pure. `eligibility` decides who
may approve: `four_eyes` lists the people who may not, and `people` the accounts of a person. The package changes no
change: it returns the value of the field `approval`, and the process writes it.
"""
