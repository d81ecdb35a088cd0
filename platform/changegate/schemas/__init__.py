"""Shapes on the wire and in forms; marshmallow, and no database."""
