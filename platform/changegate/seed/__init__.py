"""The first records of an instance, and the records of the demo."""

from changegate.seed.demo import REQUESTER, seed_demo
from changegate.seed.demo_history import seed_demo_history
from changegate.seed.demo_run import RUN_MARK, forget_demo_run
from changegate.seed.demo_sign_on import seed_demo_sign_on
from changegate.seed.first_start import ADMIN_USER_NAME, seed_first_start

__all__ = [
    "ADMIN_USER_NAME",
    "REQUESTER",
    "RUN_MARK",
    "forget_demo_run",
    "seed_demo",
    "seed_demo_history",
    "seed_demo_sign_on",
    "seed_first_start",
]
