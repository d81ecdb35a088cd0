"""The first records of an instance, and the records of the demo."""

from changegate.seed.demo import seed_demo
from changegate.seed.first_start import ADMIN_USER_NAME, seed_first_start

__all__ = ["ADMIN_USER_NAME", "seed_demo", "seed_first_start"]
