"""The pages of a change."""
