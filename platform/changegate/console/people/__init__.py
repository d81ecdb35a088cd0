"""The pages of people: accounts, groups, roles, what a person may do, and the links that set a password.

Begin with `views`. `panels` adds what the pages of users and groups show beside their form.
"""
