"""Lists and records of any table."""
