"""`python -m changegate.cli` is the `changegate` command."""

from changegate.cli import main

main()
