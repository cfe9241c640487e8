"""fhirpy's client on Signpost's own transport. Importing this costs 0.3 s: `app.fhir.ehr` does it when first needed."""

from __future__ import annotations

from typing import Any

from fhirpy import SyncFHIRClient

from app.errors import EhrError, InvalidRequest
from app.fhir import json
from app.fhir.transport import ConnectionPool, origin_of


class PooledClient(SyncFHIRClient):
    """fhirpy's `get` and `execute`, reading only: pooled, before one deadline, plain dicts with Decimals.

    fhirpy's own transport opens a connection a read, waits for ever, turns decimals into floats, and takes any
    URL that has the base URL somewhere in it for one of the same server.
    """

    def __init__(self, pool: ConnectionPool, base_url: str, access_token: str | None, deadline: float) -> None:
        super().__init__(base_url, authorization=f"Bearer {access_token}" if access_token else None)
        self._pool = pool
        self._deadline = deadline

    def _do_request(
        self,
        method: str,
        path: str,
        data: dict[str, Any] | None = None,
        params: dict[str, Any] | None = None,
        extra_headers: dict[str, Any] | None = None,
        *,
        returning_status: bool = False,
    ) -> Any:
        if method != "get" or data is not None:
            raise NotImplementedError("the EHR is only read")
        url = path if "://" in path else self._build_request_url(path, params)
        if origin_of(url) != origin_of(self.url):
            raise EhrError("The EHR's answer continues on another server, which is not read")
        headers = self._build_request_headers() | (extra_headers or {})
        body = self._pool.get(url, headers, self._deadline)
        try:
            content = json.decode(body)
        except InvalidRequest:
            raise EhrError("The EHR answered with something that is not FHIR") from None
        return (content, 200) if returning_status else content
