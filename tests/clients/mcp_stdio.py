"""The least of an MCP client: JSON-RPC, a message a line, over the pipes of a process."""

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

ANSWER_SECONDS = 60
PROTOCOL = "2025-06-18"


class McpSession:
    """A conversation with a server that this process started."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.last_id = 0

    def initialize(self) -> dict[str, Any]:
        """Shake hands."""
        client = {"name": "tests", "version": "1"}
        answer = self.request("initialize", protocolVersion=PROTOCOL, capabilities={}, clientInfo=client)
        self._send({"method": "notifications/initialized"})
        return answer

    def call(self, tool: str, **arguments: Any) -> Any:
        """Call a tool and return its structured result; a refusal is an error of the test."""
        answer = self.request("tools/call", name=tool, arguments=arguments)
        assert not answer.get("isError"), answer
        return answer["structuredContent"]

    def refusal(self, tool: str, **arguments: Any) -> str:
        """Call a tool that must refuse, and return what it says."""
        answer = self.request("tools/call", name=tool, arguments=arguments)
        assert answer.get("isError"), answer
        text: str = answer["content"][0]["text"]
        return text

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request and wait for its answer; notifications in between are passed over."""
        self.last_id += 1
        self._send({"id": self.last_id, "method": method, "params": params})
        while line := self._line():
            message = json.loads(line)
            if message.get("id") == self.last_id:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
        raise AssertionError(f"The server ended without an answer to {method}")

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()


@contextmanager
def mcp_session(command: list[str], environment: Mapping[str, str]) -> Iterator[McpSession]:
    """Start a server and hold a session with it; one that falls silent is ended, so that no test waits forever."""
    with subprocess.Popen(
        command,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        alarm = threading.Timer(ANSWER_SECONDS, process.kill)
        alarm.start()
        try:
            session = McpSession(process)
            session.initialize()
            yield session
        finally:
            alarm.cancel()
            process.terminate()
