"""Change requests: the one place that every write of a change passes."""
