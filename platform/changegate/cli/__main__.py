"""The `changegate` command as `python -m changegate.cli`."""

from changegate.cli import main

main()
