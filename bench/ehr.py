"""An EHR that takes its time: `python -m bench.ehr PORT BODY` answers every read after 50 ms from a hook's prefetch."""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DELAY_S = 0.05
READ = ("conditions", "procedures")
"""Prefetch keys that the calls leave out, so that the EHR is asked."""


def without_record(body: bytes, base: str) -> bytes:
    """The hook request with an EHR to ask, and without what it is to be asked for."""
    request = json.loads(body)
    for name in READ:
        del request["prefetch"][name]
    request["fhirServer"] = base
    request["fhirAuthorization"] = {
        "access_token": "bench",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.rs",
        "subject": "bench",
    }
    return json.dumps(request).encode()


class _Ehr(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    answers: dict[str, bytes]

    def do_GET(self) -> None:
        time.sleep(DELAY_S)
        kind = self.path.partition("?")[0].rpartition("/")[2]
        found = self.answers.get(kind, b'{"resourceType":"Bundle","type":"searchset","entry":[]}')
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: {len(found)}\r\n\r\n"
        self.wfile.write(head.encode() + found)

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""


def main() -> None:
    """Serve until ended."""
    port, body = int(sys.argv[1]), Path(sys.argv[2])
    prefetch = json.loads(body.read_bytes())["prefetch"]
    _Ehr.answers = {
        prefetch[name]["entry"][0]["resource"]["resourceType"]: json.dumps(prefetch[name]).encode()
        for name in READ
        if prefetch.get(name, {}).get("entry")
    }
    server = ThreadingHTTPServer(("127.0.0.1", port), _Ehr)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
