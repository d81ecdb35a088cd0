"""A column type for compressed JSON, for values that are written often, are similar, and are rarely read."""

import zlib
from typing import Any

import orjson
from sqlalchemy import LargeBinary
from sqlalchemy.types import TypeDecorator

# The first byte is the format of the rest. Never change a dictionary: stored rows need it. Add a new format instead.
_PLAIN, _DEFLATED = b"\0", b"\1"
_WINDOW_BITS = -12
_SHORT = 256  # bytes; compressing less takes longer than writing the bytes that it saves
_DICTIONARY = (
    b'"repository_owner_id":"repository_id":"repository_owner":"repository":"environment":"event_name":"job_workflo'
    b'w_ref":"'
    b'"run_id":"run_attempt":"workflow_ref":"ref_protected":"true","ref_type":"branch","ref":"refs/heads/main","sh'
    b'a":"'
    b'"namespace_id":"namespace_path":"project_id":"project_path":"pipeline_id":"job_id":"kubernetes.io":{"namespac'
    b'e":"'
    b'"serviceaccount":{"name":"uid":"preferred_username":"client_id":"azp":"tid":"oid":"scope":"roles":["'
    b'"iss":"https://","sub":"aud":"exp":17,"iat":17,"nbf":17,"jti":"'
    b'[["size",null,"at most 16384 characters; header 2048, payload 8192 and signature 1024 bytes"," bytes"],'
    b'["form",null,"three segments of canonical base64url, joined by dots","three segments"],'
    b'["header",null,"a plain header","a plain header"],["kid",null,"absent, or 1 to 256 printable characters","'
    b'["typ",null,"jwt","JWT"],["alg",null,"ES256, RS256","RS256"],["key",null,"ES256)","(PS256/PS384/PS512/RS256/R'
    b'S384/RS512)"'
    b'["signature",null,"a signature by this key with RS256","it is"],'
    b'["payload",null,"a JSON object of 1 to 64 claims, each name once","a JSON object"],["iss",null,"https://'
    b'["aud",null,"["sub",null,"1 to 255 printable characters","["exp",null,"a number, after 20 UTC","17 (20 UTC)"],'
    b'["lifetime",null,"at most 3600 seconds","300 seconds"],["iat",null,"a number, from 20 UTC to 20 UTC","17 (20'
    b' UTC)"],'
    b'["nbf",null,"absent, or a number up to 20 UTC",null],["jti",null,"jti: 1 to 255 characters","'
    b'["cnf",null,"absent","absent"],["act",null,"absent","absent"],["claim repository_id",null,"'
    b'["user",null,"the run-as account is active","["replay","jti_replayed","not seen before","seen before"]]'
)
# Its window is filled with the dictionary once; every value is compressed by a copy.
_PACKER = zlib.compressobj(1, zlib.DEFLATED, _WINDOW_BITS, 5, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)


class PackedJSON(TypeDecorator[Any]):
    """Any JSON value; JSON text can be passed as bytes."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> bytes | None:
        """Return the stored bytes."""
        if value is None:
            return None
        content = value if isinstance(value, bytes) else orjson.dumps(value)
        if len(content) <= _SHORT:
            return _PLAIN + content
        packer = _PACKER.copy()
        return _DEFLATED + packer.compress(content) + packer.flush()

    def process_result_value(self, value: bytes | None, dialect: Any) -> Any:
        """Return the value; floats and large numbers are those of the JSON text."""
        if value is None:
            return None
        content = value[1:]
        if value[:1] == _DEFLATED:
            content = zlib.decompressobj(_WINDOW_BITS, _DICTIONARY).decompress(content)
        return orjson.loads(content)
