"""Users: their accounts, roles, and sessions.

Begin with `accounts`: passwords, authentication, and the rules for writes to sys_user. `roles` prevents the loss of the
last administrator, and `sessions` stores the sessions of the console.
"""
