"""The records of the change process as documents, and every version that they have had.

Begin with `kinds`, the list of the kinds of documents with their tables. `documents` reads them, and `versions` keeps
each content that they have had. This package knows the tables by their names only.
"""
