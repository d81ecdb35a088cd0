"""Schemas of requests, responses, and forms, in marshmallow; no module here uses the database."""
