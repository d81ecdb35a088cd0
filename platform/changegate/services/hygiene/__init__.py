"""What an administrator should tidy up: machine accounts, their use over time, findings and a score."""
