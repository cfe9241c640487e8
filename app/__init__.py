"""Signpost: the payer's answer at order time.

`create_app` is the only place where the parts are put together.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from secrets import token_urlsafe
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flask import Flask

    from app.clients import ClientRegistry
    from app.ledger import Ledger
    from app.settings import Settings

__all__ = ["create_app"]


def create_app(settings: Settings) -> Flask:
    """The service. Raises SettingsError or RulebookError, in words for whoever starts it, when it must not run so."""
    from flask import Flask

    from app import logs
    from app.clients import ClientTrust, ExternalIssuer, TokenEndpoint
    from app.clients.key_cache import MAX_BYTES, KeyCache, fetcher
    from app.clients.rate_limit import RateLimit
    from app.console.accounts import FileAccounts, SampleAccounts
    from app.console.provider import Provider
    from app.console.sessions import Sessions
    from app.crd.published import INTERVAL_S, PublishedKeeper
    from app.crd.routing_service import RoutingService
    from app.crd.said import SaidCards
    from app.crd.service import CrdService
    from app.dtr.service import DtrService
    from app.dtr.terminology import terminology_server
    from app.encryption import Encryption
    from app.fhir.ehr import ConnectionPool, HostPolicy
    from app.ledger import Ledger
    from app.members import Grants, MemberDirectory
    from app.members.coverage import CoverageSource
    from app.members.roster import Roster
    from app.rulebook.keeper import FileKeeper, RulebookKeeper
    from app.rulebook.rulebook import Rulebook
    from app.state import open_state
    from app.state.sealed import SealedState
    from app.state.watched import WatchedState
    from app.web import (
        access,
        browsers,
        cds_hooks,
        console,
        dtr,
        errors,
        feedback,
        headers,
        instruments,
        look,
        metrics,
        ops,
        routing,
        sandbox,
    )
    from app.web.traces import Traces

    registry = check_exposure(settings)
    logs.configure(settings.log_level)
    encryption = Encryption.of_settings(settings)
    ledger = Ledger.open(settings.ledger_url, encryption, synchronous=settings.sqlite_synchronous)
    keeper: RulebookKeeper
    if settings.rules_from == "published":
        keeper = PublishedKeeper(ledger, interval=min(settings.rules_interval, INTERVAL_S))
    else:
        keeper = FileKeeper(settings.rules, settings.questionnaires, interval=settings.rules_interval)
    sources = ("roster", "coverage") if settings.sandbox else settings.member_sources
    roster = Roster.read(settings.roster_path) if "roster" in sources else None

    grants = Grants.read(settings.roster_path.parent)

    @lru_cache(maxsize=2)
    def directory(rulebook: Rulebook) -> MemberDirectory:
        by_name = {"roster": roster, "coverage": CoverageSource(rulebook.payer.line_of_type)}
        return MemberDirectory([source for name in sources if (source := by_name[name]) is not None], grants)

    # Outside the sandbox each client brings its own policy; without one, nothing may be read.
    policy = HostPolicy(None if settings.sandbox else ())
    pool = ConnectionPool(
        policy,
        max_bytes=settings.ehr_max_bytes,
        max_pages=settings.ehr_max_pages,
        observe=instruments.observe_read,
    )
    shared = SealedState(open_state(settings.shared_state_url), encryption)
    state = WatchedState(shared, instruments.observe_state_error)
    keys = KeyCache(fetcher(ConnectionPool(HostPolicy(()), workers=8, max_bytes=MAX_BYTES)))
    trust = None if settings.sandbox else ClientTrust(registry, keys, state, lifetime=settings.jwt_lifetime)

    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.config["BASE_URL"] = settings.base_url.rstrip("/") if settings.base_url else None
    app.config["STARTED"] = datetime.now(UTC).isoformat(timespec="seconds")
    app.config["TOKEN_ISSUER"], app.config["TOKEN_URL"] = settings.token_issuer, settings.token_url
    token = settings.metrics_token
    app.config["METRICS_TOKEN"] = token.get_secret_value() if token is not None else None
    app.extensions["clients"] = trust
    app.extensions["rate_limit"] = RateLimit(state, settings.calls_per_minute) if settings.calls_per_minute else None
    app.extensions["state"] = state
    app.extensions["rulebook"] = keeper
    app.extensions["ledger"] = ledger
    app.extensions["scenarios"] = _scenarios(settings, ledger)
    said = SaidCards(state, settings.repeat_cards_after) if settings.repeat_cards_after else None
    app.extensions["encryption"] = encryption
    app.extensions["crd"] = CrdService(
        settings,
        keeper,
        directory,
        pool,
        ledger,
        said=said,
        encryption=encryption,
        state=state,
        observers=(instruments.observe_call, *([Traces().observe] if settings.traces else [])),
    )
    app.extensions["routing"] = RoutingService(keeper, directory, ledger, any_payer=settings.sandbox)
    elsewhere = terminology_server(settings.terminology_url) if settings.terminology_url else None
    app.extensions["dtr"] = DtrService(settings, keeper, directory, ledger, encryption, elsewhere=elsewhere)
    app.extensions["token_endpoint"] = app.extensions["access"] = None
    if trust is not None and settings.token_issuer and settings.token_jwks_url:
        app.extensions["access"] = ExternalIssuer(settings.token_issuer, settings.token_jwks_url, keys, registry)
    elif trust is not None:
        app.extensions["token_endpoint"] = app.extensions["access"] = TokenEndpoint(trust, registry, state)
    app.register_blueprint(cds_hooks.blueprint)
    app.register_blueprint(feedback.blueprint)
    app.register_blueprint(routing.blueprint)
    app.register_blueprint(access.blueprint)
    app.register_blueprint(dtr.blueprint)
    app.register_blueprint(dtr.well_known)
    if settings.console or settings.sandbox:
        app.register_blueprint(look.blueprint)
        accounts = FileAccounts(settings.accounts_path)
        app.extensions["console"] = console.Console(
            settings,
            SampleAccounts(accounts) if settings.sandbox else accounts,
            Sessions(state),
            Provider.of_settings(settings),
        )
        app.register_blueprint(console.blueprint)
    app.register_blueprint(ops.blueprint)
    app.register_blueprint(metrics.blueprint)
    metrics.register(app)
    if settings.sandbox:
        app.config["ROSTER"] = settings.roster_path
        app.config["SANDBOX_TOKEN"] = token_urlsafe(24)  # made before the workers fork, so that they share it
        app.register_blueprint(sandbox.pages)
        app.register_blueprint(sandbox.fhir)
    errors.register(app)
    browsers.register(app, settings.cors_origins)
    headers.register(app)
    return app


def _scenarios(settings: Settings, ledger: Ledger) -> Callable[[str], Mapping[str, str]]:
    """Which scenarios, as texts by path, a rulebook is held to that is given by its hash."""
    from app.crd.publishing import scenarios_of
    from app.rulebook.scenarios import scenario_files

    folder = settings.rules / "scenarios"
    if settings.rules_from == "files":
        return lambda rulebook_hash: scenario_files(folder)
    return lambda rulebook_hash: scenarios_of(ledger, rulebook_hash, folder)


def check_exposure(settings: Settings) -> ClientRegistry:
    """The registered clients, none in open mode. SettingsError when the service would answer strangers, or nobody."""
    from app.clients import load_clients
    from app.errors import SettingsError
    from app.fhir.addresses import is_loopback

    if settings.sandbox:
        if not is_loopback(settings.host):
            raise SettingsError(
                f"--sandbox answers anyone, so it listens on loopback only, not on {settings.host}. "
                "Use --host 127.0.0.1."
            )
        return {}
    if "*" in settings.cors_origins:
        raise SettingsError(
            "SIGNPOST_CORS_ORIGINS=* lets any web page call, which only the sandbox allows. Name the origins instead."
        )
    registry = load_clients(settings.clients_path)
    if not registry:
        raise SettingsError(
            f"No EHR client is registered in {settings.clients_path}, so nobody could be answered. Register one with "
            "`signpost clients add`; to try the service on this machine, start it with --sandbox."
        )
    if settings.base_url is None and not is_loopback(settings.host):
        raise SettingsError(
            "A client's JWT names the service it is meant for, and the service does not know its own address. "
            "Set SIGNPOST_BASE_URL to the URL that clients call, without /cds-services."
        )
    if settings.database_url and not settings.encryption_keys and not settings.database_url.startswith("sqlite"):
        raise SettingsError(
            "What the ledger keeps of patients is encrypted, and without SIGNPOST_ENCRYPTION_KEYS the key would be a "
            "file of this machine that no other has. Make a key with `openssl rand -base64 32`, give it to every "
            "service on this database, and keep it: without it no answer can be read again."
        )
    if (settings.token_issuer is None) != (settings.token_jwks_url is None):
        raise SettingsError(
            "SIGNPOST_TOKEN_ISSUER and SIGNPOST_TOKEN_JWKS_URL go together: the one says whose tokens, the other by "
            "which keys. Set both or neither."
        )
    if settings.shared_state_url == "memory://" and settings.workers > 1:
        raise SettingsError(
            "With SIGNPOST_STATE_URL=memory:// the workers do not know of each other's JWTs, and one could be used "
            "again with another. Leave it out, or start with --workers 1."
        )
    return registry
