"""A terminology server beside this service, asked for value sets that are not kept here. None is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import structlog

from app.dtr.value_sets import ExpandElsewhere
from app.errors import EhrError, InvalidRequest
from app.fhir.json import decode
from app.fhir.transport import ConnectionPool, EhrStatusError, HostPolicy

log = structlog.get_logger("signpost.dtr")

SECONDS = 5.0
MAX_BYTES = 2 * 1024 * 1024
# The US edition of SNOMED CT (davinci-dtr, expansion-parameters-us-dtr).
_SNOMED_US = "http://snomed.info/sct|http://snomed.info/sct/731000124108"


def terminology_server(base: str) -> ExpandElsewhere:
    """`$expand` on the server at `base`, and on no other: no redirect is followed, and the answer is small."""
    pool = ConnectionPool(HostPolicy((base,)), workers=8, max_bytes=MAX_BYTES)

    def expand(parameters: Mapping[str, str]) -> dict[str, Any] | None:
        query = urlencode({**parameters, "activeOnly": "true", "system-version": _SNOMED_US})
        url = f"{base.rstrip('/')}/ValueSet/$expand?{query}"
        try:
            found = decode(pool.get_within(url, {"Accept": "application/fhir+json"}, SECONDS))
        except EhrStatusError as error:
            log.warning("terminology.refused", status=error.status)
            return None
        except (EhrError, InvalidRequest) as error:
            log.error("terminology.failed", error=str(error))
            return None
        is_expanded = isinstance(found, dict) and found.get("resourceType") == "ValueSet" and "expansion" in found
        return found if is_expanded else None

    return expand
