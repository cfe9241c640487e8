"""A registered EHR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.clients.public_keys import PublicKey
from app.fhir.transport import HostPolicy


@dataclass(frozen=True, slots=True)
class Client:
    """One EHR as the registry describes it.

    `inline_keys`, where there are any, hold instead of those at `jwks_url`. `tenants` and `services` of None mean: any.
    `acts_for`: the `iss` of clients whose answers it may take further, as a DTR app does for EHRs.
    """

    name: str
    iss: str
    fhir_bases: tuple[str, ...]
    jwks_url: str | None = None
    inline_keys: Mapping[tuple[str, str], PublicKey] = field(default_factory=dict)
    algorithms: frozenset[str] = frozenset({"ES384", "RS384"})
    tenants: frozenset[str] | None = None
    services: frozenset[str] | None = None
    allow_private: bool = False
    acts_for: frozenset[str] = frozenset()

    @property
    def policy(self) -> HostPolicy:
        """Which FHIR servers may be read in a call of this client."""
        return HostPolicy(self.fhir_bases, public_only=not self.allow_private)

    def may_call(self, service_id: str) -> bool:
        """Whether the client is answered by this CDS service."""
        return self.services is None or service_id in self.services

    def may_use_answers_to(self, iss: str) -> bool:
        """Whether the answers given to the client of that `iss` are for this one too."""
        return iss == self.iss or iss in self.acts_for
