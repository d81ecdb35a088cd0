"""Records seen through the Table API: the registry, encoded queries, values and what they look like."""
