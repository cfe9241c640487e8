"""Every setting: its name, environment variable (`SIGNPOST_` and the name in capitals), default and meaning."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

SECRETS_DIR = "SIGNPOST_SECRETS_DIR"
"""Environment variable: a folder with files named as settings are, each holding one. The environment goes before it."""

_CHECKOUT = Path(__file__).resolve().parent.parent
ROOT = _CHECKOUT if (_CHECKOUT / "rules").is_dir() else Path(sys.prefix) / "share" / "signpost"
"""Where the sample rules are, and what else is no code: the checkout, or what a wheel installed (setup.py)."""


class Settings(BaseSettings):
    """Settings of the service. Each is read from the environment or a file; flags of `signpost serve` go before."""

    model_config = SettingsConfigDict(env_prefix="SIGNPOST_", extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    workers: int = Field(2, ge=1, description="Worker processes.")
    threads: int = Field(16, ge=1, description="Threads in each worker; a hook that waits for the EHR holds one.")
    sandbox: bool = Field(
        False,
        description="Open mode for trying and testing: loopback only, no client JWT, any payer and any fhirServer.",
    )
    base_url: str | None = Field(None, description="Public address of the service, when it is behind a proxy.")
    rules_from: Literal["files", "published"] = Field(
        "files",
        description="Where the live rules are: `files`, the rules folder, where a good edit goes live; or `published`, "
        "the rulebook last published in the ledger.",
    )
    rules: Path = Field(ROOT / "rules", description="Folder of the rule files.")
    questionnaires: Path = Field(ROOT / "questionnaires", description="Folder of the forms.")
    rules_interval: float = Field(0.25, ge=0, description="Seconds between looks at the rule files; 0 never looks.")
    data_dir: Path = Field(Path("data"), description="Folder for the embedded ledger.")
    database_url: str | None = Field(
        None, description="SQLAlchemy URL of the ledger; left out: SQLite in the data folder."
    )
    sqlite_synchronous: Literal["full", "normal"] = Field(
        "full", description="SQLite durability: `full` survives a power cut, `normal` only a crash of the process."
    )
    calls_per_minute: int = Field(
        0,
        ge=0,
        description="Most calls a minute of one registered client, over all workers; more get 429. 0: no limit.",
    )
    clients_file: Path | None = Field(
        None, description="Registry of the EHR clients that are answered; left out: clients.yaml in the data folder."
    )
    jwt_lifetime: int = Field(
        300, ge=10, le=3600, description="Longest lifetime of a client's JWT, `exp` minus `iat`, in seconds."
    )
    state_url: str | None = Field(
        None,
        description="What workers share for a while: `sqlite:///path`, or `memory://` for a single worker; left out: "
        "state.sqlite in the data folder.",
    )
    redis_url: str | None = Field(
        None,
        description="Redis for what services on several machines share for a while: `redis://host:6379/0`, `rediss://` "
        "for TLS. Set, it takes the place of SIGNPOST_STATE_URL.",
    )
    roster: Path | None = Field(
        None, description="Member roster (CSV); left out: members/roster.csv of the rules folder."
    )
    member_sources: Annotated[tuple[Literal["roster", "coverage"], ...], NoDecode] = Field(
        ("roster",),
        description="Where members are looked up, in order, with commas: `roster`, `coverage`. The sandbox uses both.",
    )
    answer_within: float = Field(
        4.5,
        gt=0,
        le=10,
        description="Seconds for a whole call; CRD allows 5 (found-2). Reading the EHR stops before it.",
    )
    max_body_bytes: int = Field(5_000_000, ge=10_000, description="Largest request body, in bytes.")
    max_orders: int = Field(200, ge=1, description="Most orders in one call.")
    ehr_max_bytes: int = Field(5_000_000, ge=10_000, description="Largest answer accepted from the EHR, in bytes.")
    ehr_max_pages: int = Field(5, ge=1, description="Most pages followed in one EHR search.")
    ehr_cache_seconds: float = Field(
        120.0,
        ge=0,
        description="Seconds for which who and where (patient, coverage, people, places) are remembered from hook to "
        "hook of the same patient; the clinical record never is. 0 remembers nothing.",
    )
    repeat_cards_after: float = Field(
        3600.0,
        ge=0,
        description="Seconds after which order-sign may repeat a card that order-select showed for the same order. "
        "0 always repeats, as a test run wants it.",
    )
    default_crd_version: Literal["2.0", "2.2"] = Field(
        "2.2", description="CRD version answered when a request names none."
    )
    refuse_several_coverages: bool = Field(
        True,
        description="Answer 400 when a CRD 2.2 call brings several active Coverages of this payer (hook-13). "
        "Off, and for CRD 2.0, each is answered under its own assertion.",
    )
    encryption_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="Keys for what is kept of patients, 32 bytes in base64 each, with commas; the first encrypts, all "
        "decrypt. Left out: encryption.key in the data folder, made where there is none.",
    )
    snapshot_hours: float = Field(
        72.0,
        gt=0,
        le=2160,
        description="Hours for which what a form needs of the patient's record is kept after order time.",
    )
    snapshot_seconds: float = Field(
        1.0,
        ge=0,
        le=5,
        description="Most seconds a hook spends on reading for prefill, once the answer is known; 0 reads nothing.",
    )
    dtr_app_url: str | None = Field(
        None,
        pattern="^https?://",
        description="Launch address of the DTR app for CRD 2.0 clients, which start it from a card; left out: no card.",
    )
    dtr_unversioned_libraries: bool = Field(
        False,
        description="Name Libraries without their version in DTR 2.0 forms, as Inferno 0.17 compares them; the guide "
        "wants the version.",
    )
    terminology_url: str | None = Field(
        None,
        pattern="^https?://",
        description="FHIR base of a terminology server that is asked for value sets not kept here; left out: none is.",
    )
    token_issuer: str | None = Field(
        None,
        description="Issuer of an authorization server of yours, whose JWT access tokens DTR clients bear; left out: "
        "the service grants tokens itself.",
    )
    token_jwks_url: str | None = Field(
        None, pattern="^https://", description="Where that authorization server publishes its keys."
    )
    token_url: str | None = Field(
        None, pattern="^https://", description="Token endpoint of that authorization server, for clients to find."
    )
    console: bool = Field(
        False, description="Serve the console for benefit staff at /console, for people who log in. The sandbox does."
    )
    console_accounts: Path | None = Field(
        None, description="Accounts of the console on this machine; left out: console.json in the data folder."
    )
    console_oidc_issuer: str | None = Field(
        None,
        pattern="^https?://",
        description="OpenID Connect issuer with whom people log in to the console; left out: accounts of this machine "
        "only. http only on this machine.",
    )
    console_oidc_client_id: str | None = Field(None, description="What that issuer knows the console as.")
    console_oidc_client_secret: SecretStr | None = Field(
        None, description="The console's secret with that issuer; left out: a public client, guarded by PKCE alone."
    )
    console_oidc_name_claim: str = Field(
        "email", description="Claim of the ID token whose text a person is recorded under."
    )
    console_oidc_roles_claim: str = Field("roles", description="Claim of the ID token that lists a person's groups.")
    console_oidc_roles: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Which group has which role, with commas: `benefits-team=editor,pharmacy-leads=approver`. Left "
        "out: groups named like the roles.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Origins of clients that run in a browser, with commas (`https://ehr.example.org`); `*`, any "
        "origin, only in the sandbox.",
    )
    metrics_token: SecretStr | None = Field(
        None,
        min_length=16,
        description="Bearer token with which `/metrics` may be read; left out: only from this machine, and not through "
        "a proxy.",
    )
    traces: bool = Field(
        False,
        description="Send an OpenTelemetry trace of each hook call, as the OTEL_ environment variables say; needs "
        "`signpost[traces]`.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log line written."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, the environment, and files where there is a folder of them."""
        folder = os.environ.get(SECRETS_DIR)
        files = () if folder is None else (SecretsSettingsSource(settings_cls, secrets_dir=folder),)
        return init_settings, env_settings, *files

    @field_validator("member_sources", "cors_origins", "encryption_keys", "console_oidc_roles", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """The environment gives one string."""
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """A browser sends its origin without a path, so no other would ever match."""
        for origin in value:
            if origin != "*" and not re.fullmatch(r"https?://[a-z0-9.\-\[\]:]+", origin):
                raise ValueError(
                    f"{origin!r} is no origin: scheme, host and port in small letters, with no slash after"
                )
        return value

    @property
    def ledger_url(self) -> str:
        """Where the ledger is kept."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'ledger.sqlite').resolve()}"

    @property
    def key_path(self) -> Path:
        """Where the embedded encryption key is kept."""
        return self.data_dir / "encryption.key"

    @property
    def clients_path(self) -> Path:
        """Where the registry of clients is kept."""
        return self.clients_file or self.data_dir / "clients.yaml"

    @property
    def accounts_path(self) -> Path:
        """Where the console's accounts are kept."""
        return self.console_accounts or self.data_dir / "console.json"

    @property
    def shared_state_url(self) -> str:
        """Where the shared state is kept."""
        return self.redis_url or self.state_url or f"sqlite:///{(self.data_dir / 'state.sqlite').resolve()}"

    @property
    def roster_path(self) -> Path:
        """Where the roster is kept."""
        return self.roster or self.rules / "members" / "roster.csv"
