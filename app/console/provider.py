"""Logging in with an OpenID Connect provider: the authorization code flow with PKCE, state and nonce (OIDC Core, 3.1).

Authlib speaks OAuth with the provider; it comes with `pip install 'signpost[oidc]'`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jwt
import msgspec
import requests

from app.console.accounts import Account
from app.console.roles import ROLES, Role, Roles
from app.errors import NotAllowed, SettingsError

if TYPE_CHECKING:
    from authlib.integrations.requests_client import OAuth2Session

    from app.settings import Settings

_TIMEOUT_S = 10
_ALGORITHMS = ("RS256", "PS256", "ES256", "ES384")
LOGIN_S = 600
"""Seconds within which somebody has to come back from the provider."""


class Provider:
    """One identity provider. Its metadata and keys are asked for at each login: nothing goes stale."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        secret: str | None,
        *,
        name_claim: str,
        roles_claim: str,
        roles: Mapping[str, Role],
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._secret = secret
        self._name_claim = name_claim
        self._roles_claim = roles_claim
        self._roles = roles

    @classmethod
    def of_settings(cls, settings: Settings) -> Provider | None:
        """The provider of the settings, None where none is. SettingsError for settings that do not go together."""
        issuer, client_id = settings.console_oidc_issuer, settings.console_oidc_client_id
        if issuer is None:
            return None
        if client_id is None:
            raise SettingsError("SIGNPOST_CONSOLE_OIDC_ISSUER needs SIGNPOST_CONSOLE_OIDC_CLIENT_ID beside it.")
        try:
            import authlib  # noqa: F401
        except ImportError:
            raise SettingsError(
                "Logging in with a provider needs Authlib, which is not installed: pip install 'signpost[oidc]'."
            ) from None
        secret = settings.console_oidc_client_secret
        return cls(
            issuer,
            client_id,
            secret.get_secret_value() if secret is not None else None,
            name_claim=settings.console_oidc_name_claim,
            roles_claim=settings.console_oidc_roles_claim,
            roles=roles_of_groups(settings.console_oidc_roles),
        )

    def start(self, redirect_uri: str) -> tuple[str, str, bytes]:
        """Where to send the browser, the state it will bring back, and what to keep until then."""
        metadata = self._metadata()
        nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        with self._session(redirect_uri) as session:
            url, state = session.create_authorization_url(
                metadata["authorization_endpoint"], nonce=nonce, code_verifier=verifier
            )
        kept = msgspec.json.encode({"nonce": nonce, "verifier": verifier, "redirect_uri": redirect_uri})
        return url, state, kept

    def finish(self, code: str, kept: bytes) -> Account:
        """Who came back. NotAllowed, which quotes nothing of the tokens, when nobody may be let in."""
        started = msgspec.json.decode(kept, type=dict[str, str])
        metadata = self._metadata()
        from authlib.common.errors import AuthlibBaseError

        try:
            with self._session(started["redirect_uri"]) as session:
                token = session.fetch_token(
                    metadata["token_endpoint"], code=code, code_verifier=started["verifier"], timeout=_TIMEOUT_S
                )
        except (AuthlibBaseError, requests.RequestException) as error:
            raise NotAllowed(f"The identity provider did not confirm the login ({type(error).__name__}).") from None
        return self._account(self._claims(str(token.get("id_token", "")), metadata, started["nonce"]))

    def _session(self, redirect_uri: str) -> OAuth2Session:
        from authlib.integrations.requests_client import OAuth2Session

        session = OAuth2Session(
            self._client_id,
            self._secret,
            scope="openid profile email",
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if self._secret else "none",  # noqa: S106  # a method
        )
        session.trust_env = False
        return session

    def _metadata(self) -> dict[str, Any]:
        found = _fetched(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self._issuer:
            raise NotAllowed("The identity provider names another issuer than the settings do.")
        return found

    def _claims(self, id_token: str, metadata: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        """The claims of an ID token that is the provider's, for us, for this login, and not expired."""
        try:
            head = jwt.get_unverified_header(id_token)
            keys = jwt.PyJWKSet.from_dict(_fetched(metadata["jwks_uri"]))
            key = next(each for each in keys.keys if head.get("kid") in (None, each.key_id))
            claims: dict[str, Any] = jwt.decode(
                id_token,
                key,
                algorithms=_ALGORITHMS,
                audience=self._client_id,
                issuer=self._issuer,
                leeway=30,
                options={"require": ["exp", "iat", "aud", "iss", "sub"]},
            )
        except (jwt.PyJWTError, StopIteration) as error:
            raise NotAllowed(f"The identity provider's ID token is not accepted ({type(error).__name__}).") from None
        if not secrets.compare_digest(str(claims.get("nonce", "")), nonce):
            raise NotAllowed("The identity provider's ID token is of another login.")
        return claims

    def _account(self, claims: Mapping[str, Any]) -> Account:
        name = claims.get(self._name_claim)
        if not isinstance(name, str) or not name.strip():
            raise NotAllowed(f"The ID token has no {self._name_claim}, under which people are recorded.")
        if self._name_claim == "email" and claims.get("email_verified") is False:
            raise NotAllowed("The identity provider has not verified this email address.")
        stated = claims.get(self._roles_claim, ())
        groups = (stated,) if isinstance(stated, str) else stated if isinstance(stated, list) else ()
        roles: Roles = frozenset(self._roles[group] for group in groups if group in self._roles)
        if not roles:
            raise NotAllowed("You are known, and have no role in this console. Ask whoever runs it for one.")
        return Account(name.strip(), roles)


def roles_of_groups(stated: tuple[str, ...]) -> dict[str, Role]:
    """`group=role` pairs as a map; without any, groups are named as the roles. SettingsError for what is no pair."""
    if not stated:
        return {role: role for role in ROLES}
    found: dict[str, Role] = {}
    for pair in stated:
        group, _, word = pair.rpartition("=")
        role = next((role for role in ROLES if role == word.strip()), None)
        if not group.strip() or role is None:
            raise SettingsError(
                f"SIGNPOST_CONSOLE_OIDC_ROLES: {pair!r} is no group=role. The roles are {', '.join(ROLES)}."
            )
        found[group.strip()] = role
    return found


def _fetched(url: str) -> dict[str, Any]:
    """JSON of the provider's."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            response = session.get(url, timeout=_TIMEOUT_S, allow_redirects=False)
            response.raise_for_status()
            found = response.json()
    except (requests.RequestException, ValueError) as error:
        raise NotAllowed(f"The identity provider cannot be reached ({type(error).__name__}).") from None
    if not isinstance(found, dict):
        raise NotAllowed("The identity provider's answer cannot be read.")
    return found
