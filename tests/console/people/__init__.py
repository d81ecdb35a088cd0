"""People: accounts, groups, roles, access, and links."""
