"""Whom the service answers: the EHRs registered with it, and the JWT by which each call shows who sent it.

Source: CDS Hooks 2.0, "Trusting CDS Clients"; davinci-crd 2.2, security.
"""

from __future__ import annotations

from app.clients.access import Access, AccessCheck, ExternalIssuer, TokenEndpoint
from app.clients.client import Client
from app.clients.registry import ClientRegistry, load_clients
from app.clients.trust import ClientTrust

__all__ = [
    "Access",
    "AccessCheck",
    "Client",
    "ClientRegistry",
    "ClientTrust",
    "ExternalIssuer",
    "TokenEndpoint",
    "load_clients",
]
