"""WSGI entry: `granian --interface wsgi app:app`, `gunicorn app:app`, `flask run`, or `python app.py`."""

import sys
from pathlib import Path

from changegate import create_app
from changegate.config import default_instance_path

app = create_app(instance_path=default_instance_path(Path(__file__).parent))

if __name__ == "__main__":
    from changegate.cli import main

    main(["serve", *sys.argv[1:]])
