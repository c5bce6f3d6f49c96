"""As much of an editor as a YAML language server needs to see: the Language Server Protocol over pipes."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from pathlib import Path
from typing import Any, Self

SECONDS = 30.0


class Editor:
    """An editor with one folder open, in which every YAML file obeys one schema."""

    def __init__(self, server: Path, schema: Path) -> None:
        self._process = subprocess.Popen(
            ["node", str(server), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._settings = {
            "yaml": {
                "schemas": {schema.as_uri(): ["*.yaml"]},
                "schemaStore": {"enable": False},
                "validate": True,
                "completion": True,
                "hover": True,
            },
            "http": {"proxy": "", "proxyStrictSSL": False},
        }
        self._messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self._number = 0
        self._found: dict[str, list[dict[str, Any]]] = {}
        threading.Thread(target=self._read, daemon=True).start()
        capabilities = {
            "textDocument": {"hover": {"contentFormat": ["markdown"]}},
            "workspace": {"configuration": True},
        }
        self._ask("initialize", {"processId": None, "rootUri": None, "capabilities": capabilities})
        self._tell("initialized", {})
        self._tell("workspace/didChangeConfiguration", {"settings": self._settings})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def problems(self, text: str) -> list[dict[str, Any]]:
        """Opens a file, and returns what is marked in it."""
        return self._found[self._open(text)]

    def _open(self, text: str) -> str:
        self._number += 1
        uri = f"file:///specs/{self._number}.yaml"
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._tell("textDocument/didOpen", {"textDocument": document})
        while uri not in self._found:
            self._take()
        return uri

    def completions(self, text: str) -> set[str]:
        """What is offered at the mark `|` of the text."""
        found = self._at("textDocument/completion", text)
        items = found["items"] if isinstance(found, dict) else found or []
        return {item["label"] for item in items}

    def hover(self, text: str) -> str:
        """What is shown over the mark `|` of the text."""
        found = self._at("textDocument/hover", text)
        return "" if found is None else str(found["contents"]["value"])

    def _at(self, method: str, text: str) -> Any:
        before, _, after = text.partition("|")
        uri = self._open(before + after)
        line, character = before.count("\n"), len(before.rpartition("\n")[2])
        place = {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}
        return self._ask(method, place)

    def _ask(self, method: str, parameters: dict[str, Any]) -> Any:
        self._number += 1
        own = self._number
        self._send({"id": own, "method": method, "params": parameters})
        while True:
            message = self._take()
            if message.get("id") == own and "method" not in message:
                assert "error" not in message, message["error"]
                return message.get("result")

    def _tell(self, method: str, parameters: dict[str, Any]) -> None:
        self._send({"method": method, "params": parameters})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._process.stdin.flush()

    def _take(self) -> dict[str, Any]:
        """The next message; what the server asks is answered, what it publishes is kept."""
        message = self._messages.get(timeout=SECONDS)
        method = message.get("method")
        if method == "textDocument/publishDiagnostics":
            self._found[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif method is not None and "id" in message:
            asked = message.get("params", {}).get("items", []) if method == "workspace/configuration" else None
            answer = None if asked is None else [self._settings.get(one.get("section", "")) for one in asked]
            self._send({"id": message["id"], "result": answer})
        return message

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while header := stream.readline():
            length = 0
            while header.strip():
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
                header = stream.readline()
            self._messages.put(json.loads(stream.read(length)))
