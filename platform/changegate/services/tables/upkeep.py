"""Upkeep of what the databases need for fast searches: statistics of the planner, and the trigram indexes."""

from datetime import datetime, timedelta

from changegate.database import Base
from changegate.database.dialects import analyze
from changegate.database.text_index import find_text_index
from changegate.services.jobs.repeating import repeating
from changegate.services.tables.registry import TABLES

STATISTICS_INTERVAL = timedelta(hours=6)
# Searches compare records that are not indexed yet one by one, so there should be few.
INDEX_INTERVAL = timedelta(seconds=30)


@repeating("tables.statistics", every=STATISTICS_INTERVAL)
def renew_statistics(_at: datetime) -> bool:
    """Renew the statistics of all served tables."""
    # Some tables are served from a statement.
    analyze(sorted({table.source.name for table in TABLES.values()} & Base.metadata.tables.keys()))
    return False


@repeating("tables.index_texts", every=INDEX_INTERVAL)
def index_texts(_at: datetime) -> bool:
    """Index a batch of the records that were written since the last run; return whether there may be more."""
    sources = {table.source.name: table.source for table in TABLES.values()}
    indexes = (find_text_index(source) for source in sources.values())
    return any(index.index_batch() for index in indexes if index is not None)
