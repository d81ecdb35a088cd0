"""The setup of the peer: its additional packages, and the file with its settings."""

import json
import sys
from pathlib import Path

from tests.support.client_environments import make_once, run_installer

from benchmarks.errors import BenchFailed
from benchmarks.servers import ROOT
from benchmarks.signing import AUDIENCE, ISSUER, SUBJECT

REQUIREMENTS = Path(__file__).with_name("peer.txt")
PACKAGES = ROOT / "build" / "peer"
FOLDER_VARIABLE = "BENCH_PEER_FOLDER"
FACTS_FILE = "peer.json"
PATH = "/oauth/token"
DRIVER_PATH = "/driver/oauth/token"


def prepare(folder: Path, key_set: bytes) -> None:
    """Write the issuer that the peer trusts, and its keys."""
    facts = {"issuer": ISSUER, "audience": AUDIENCE, "subject": SUBJECT, "key_set": json.loads(key_set)}
    (folder / FACTS_FILE).write_text(json.dumps(facts))


def provide_packages() -> Path:
    """Return the folder of the peer's packages, installed once for each list of them. Raises `BenchFailed`.

    It contains no others: the peer uses the Flask, the server, and the cryptography of the product.
    """
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
    command = (*pip, "--target", str(PACKAGES), "--requirement", str(REQUIREMENTS))
    try:
        make_once(PACKAGES, REQUIREMENTS.read_text(), lambda: run_installer(*command))
    except AssertionError as problem:
        raise BenchFailed(f"The peer cannot be installed: {problem}") from None
    return PACKAGES
