"""Users: their accounts, roles and sessions.

Begin with `accounts`: passwords, authentication, and the rules for writes to sys_user. `roles` keeps the last
administrator, `sessions` ends sign-ins.
"""
