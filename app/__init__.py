"""Signpost: the payer's answer at order time.

`create_app` is the only place where the parts are put together.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.settings import Settings

__all__ = ["create_app"]


def create_app(settings: Settings) -> Flask:
    """The service. Raises SettingsError or RulebookError, in words for whoever starts it, when it must not run so."""
    from flask import Flask

    from app import logs
    from app.crd.service import CrdService
    from app.fhir.ehr import ConnectionPool, HostPolicy
    from app.ledger import Ledger
    from app.members import MemberDirectory
    from app.members.coverage import CoverageSource
    from app.members.roster import Roster
    from app.rulebook.keeper import RulebookKeeper
    from app.rulebook.rulebook import Rulebook
    from app.web import cds_hooks, errors, ops

    check_exposure(settings)
    logs.configure(settings.log_level)
    keeper = RulebookKeeper(settings.rules, settings.questionnaires, interval=settings.rules_interval)
    sources = ("roster", "coverage") if settings.sandbox else settings.member_sources
    roster = Roster.read(settings.roster_path) if "roster" in sources else None

    @lru_cache(maxsize=2)
    def directory(rulebook: Rulebook) -> MemberDirectory:
        by_name = {"roster": roster, "coverage": CoverageSource(rulebook.payer.line_of_type)}
        return MemberDirectory([source for name in sources if (source := by_name[name]) is not None])

    ledger = Ledger.open(settings.ledger_url, synchronous=settings.sqlite_synchronous)
    pool = ConnectionPool(HostPolicy(None), max_bytes=settings.ehr_max_bytes, max_pages=settings.ehr_max_pages)

    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.extensions["rulebook"] = keeper
    app.extensions["ledger"] = ledger
    app.extensions["crd"] = CrdService(settings, keeper, directory, pool, ledger)
    app.register_blueprint(cds_hooks.blueprint)
    app.register_blueprint(ops.blueprint)
    errors.register(app)
    return app


def check_exposure(settings: Settings) -> None:
    """Refuse to answer strangers: open mode stays on loopback, and any other mode needs registered clients."""
    from app.errors import SettingsError

    if not settings.sandbox:
        raise SettingsError(
            "No EHR client is registered, so nobody could be answered. Checking clients is not part of this version "
            "yet; to try the service on this machine, start it with --sandbox."
        )
    loopback = settings.host == "localhost"
    if not loopback:
        try:
            loopback = ipaddress.ip_address(settings.host).is_loopback
        except ValueError:
            loopback = False
    if not loopback:
        raise SettingsError(
            f"--sandbox answers anyone, so it listens on loopback only, not on {settings.host}. Use --host 127.0.0.1."
        )
