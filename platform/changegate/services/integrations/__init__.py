"""The administration of integrations: storage, comparison, dry runs, and snippets.

Begin with `integrations`, which stores them, and `integration_fields`, which lists their fields.
`integration_changes` compares before anything is saved, `dry_run` tries an assertion, and `authority` decides who
may save.
"""
