"""The benchmark: what one server process answers per second, next to floors no Flask application can beat."""
