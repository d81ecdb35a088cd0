"""The administration of integrations: storage, comparison, dry runs, and snippets.

Begin with `saving`, which registers and changes them, and `integration_fields`, which lists their fields.
`integration_changes` compares before anything is saved, `integrations` finds, disables, and deletes them, `dry_run`
tries an assertion, and `authority` decides who may save.
"""
