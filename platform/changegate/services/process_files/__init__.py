"""The change process as a file: export, comparison, application, and replay.

Begin with `applying`, which makes the stored records match a file. `reading` reads a file, `resolving` turns its values
into documents, `comparing` compares them with the stored ones, and `writing` writes the differences by the rules of the
Table API. `rendering` writes files, and `replaying` shows what edited policies would have decided.
"""
