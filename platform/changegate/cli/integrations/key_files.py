"""Keys read from files that options name: certificates, shared keys, key sets."""

import base64
from pathlib import Path
from typing import Any

import click

from changegate.errors import InputInvalid

MAX_BYTES = 1024 * 1024
KID = ",kid="
FORM = "NAME=FILE[,kid=KID]"
_DER = b"\x30"  # The tag of a SEQUENCE (X.690 §8.9), with which DER begins and PEM never does.


class NamedFile(click.ParamType[dict[str, str]]):
    """The option type of a name and a file, optionally with a kid. The file is read later, with the other errors."""

    name = FORM

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, str]:
        """Split the text; reports wrong usage if the name or the file is missing."""
        name, _, rest = str(value).partition("=")
        file, _, kid = rest.partition(KID)
        if not name.strip() or not file:
            self.fail(f"write it as {FORM}", param, ctx)
        return {"name": name, "file": file, **({"kid": kid} if kid else {})}


def read_certificate(named: dict[str, str]) -> dict[str, Any]:
    """Return the verifier map of a certificate, PEM or DER; raises `OSError` and `InputInvalid`."""
    data = _read(named["file"], "verifier_maps")
    text = base64.b64encode(data).decode() if data.startswith(_DER) else _decoded(data, named["file"], "verifier_maps")
    return _map(named) | {"certificate": text}


def read_shared_key(named: dict[str, str]) -> dict[str, Any]:
    """Return the verifier map of a shared key, without the final line break that editors add."""
    text = _decoded(_read(named["file"], "verifier_maps"), named["file"], "verifier_maps")
    return _map(named) | {"shared_key": text.removesuffix("\n").removesuffix("\r")}


def read_text(file: str, field: str) -> str:
    """Return the text of a file; raises `OSError`, and `InputInvalid` if it is not text."""
    return _decoded(_read(file, field), file, field)


def _map(named: dict[str, str]) -> dict[str, Any]:
    return {name: named[name] for name in ("name", "kid") if name in named}


def _read(file: str, field: str) -> bytes:
    with Path(file).open("rb") as opened:
        data = opened.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InputInvalid({field: [f"{file} is larger than {MAX_BYTES} bytes."]})
    return data


def _decoded(data: bytes, file: str, field: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputInvalid({field: [f"{file} is not valid UTF-8."]}) from None
