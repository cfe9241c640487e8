"""The registry of clients (`clients.yaml`), read strictly: a slip here opens the service or closes it to an EHR."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from app.clients.client import Client
from app.clients.public_keys import ALGORITHMS, KeyId, PublicKey, read_keys
from app.errors import SettingsError
from app.fhir.addresses import is_public
from app.fhir.transport import HostPolicy, origin_of
from app.hooks.discovery import SERVICE_IDS
from app.rulebook.documents import Document, check_encoding, read_document
from app.rulebook.documents import Path as Place
from app.rulebook.spelling import nearest
from benefit_router import Problem

ClientRegistry: TypeAlias = Mapping[str, Client]
"""Clients by `iss`."""

KEYS: Mapping[str, str] = {
    "name": "Whose EHR it is, for people.",
    "iss": "The `iss` of its JWTs, letter by letter.",
    "jwks_url": "Where it publishes its public keys (JWK set).",
    "jwks": "Its public keys themselves, `{keys: [...]}`. Where they stand, nothing is fetched from `jwks_url`.",
    "fhir_bases": "FHIR base URLs that may be read in its calls; `[]` when all data comes in prefetch.",
    "algorithms": "`ES384`, `RS384` or both; left out: both.",
    "tenants": "The values of the JWT's `tenant` that are answered; left out: `tenant` is not looked at.",
    "services": "Ids of the CDS services it may call; left out: all.",
    "acts_for": "The `iss` of EHRs for whose orders it may fetch and return forms, as a DTR app does.",
    "allow_private": "`true` for an EHR inside your own network: private addresses and plain http are then accepted.",
}
"""Every key of a client, and what it means."""

_REQUIRED = ("name", "iss", "fhir_bases")


def load_clients(path: Path) -> ClientRegistry:
    """The registry at `path`, empty when there is no file. SettingsError names everything that is wrong with it."""
    if not path.exists():
        return {}
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise SettingsError(f"The registry of clients {path} cannot be read: {error.strerror}.") from None
    registry, problems = read_clients(text, str(path))
    if problems:
        raise SettingsError("\n".join(map(str, problems)))
    return registry


def read_clients(text: str, file: str) -> tuple[ClientRegistry, list[Problem]]:
    """The clients of a registry's text and everything wrong with it; with a problem, the registry must not be used."""
    document, problems = read_document(text, file)
    problems += check_encoding(text, file)
    if document is None or problems:
        return {}, problems
    listed = document.data.get("clients") if isinstance(document.data, dict) else None
    if not isinstance(listed, list) or set(document.data) != {"clients"}:
        problem = document.problem((), "A registry is one list named 'clients'.", "Begin it with 'clients:'.")
        return {}, [problem]
    registry: dict[str, Client] = {}
    for position, entry in enumerate(listed):
        reading = _Entry(document, ("clients", position), entry)
        client = reading.client()
        problems += reading.problems
        if client is not None and client.iss in registry:
            problems.append(
                document.problem((*reading.place, "iss"), "Another client has this iss.", "Make them one client.")
            )
        elif client is not None:
            registry[client.iss] = client
    return registry, problems


class _Entry:
    """One client of the file, as far as it can be read, and what is wrong with it."""

    def __init__(self, document: Document, place: Place, data: Any) -> None:
        self._document = document
        self.place = place
        self._data = data
        self.problems: list[Problem] = []

    def client(self) -> Client | None:
        """The client; None when there is a problem."""
        if not isinstance(self._data, dict):
            self._wrong("", "This is no client.", "Write its keys below '- name: …', indented alike.")
            return None
        for key in self._data.keys() - KEYS.keys():
            self._wrong(key, f"'{key}' is not a key of a client.", nearest(key, KEYS))
        for key in _REQUIRED:
            if key not in self._data:
                self._wrong("", f"'{key}' is missing.", f"Add '{key}:'. {KEYS[key]}")
        if "jwks_url" not in self._data and "jwks" not in self._data:
            self._wrong("", "The client has no keys.", "Add 'jwks_url:' or 'jwks:'.")
        private = self._data.get("allow_private", False)
        if not isinstance(private, bool):
            self._wrong("allow_private", "This is neither true nor false.", "Write true or false.")
        made = Client(
            name=self._text("name"),
            iss=self._text("iss"),
            fhir_bases=self._texts("fhir_bases", self._base_problem) or (),
            jwks_url=self._url("jwks_url") if "jwks_url" in self._data else None,
            inline_keys=self._keys() if "jwks" in self._data else {},
            algorithms=frozenset(self._words("algorithms", ALGORITHMS) or ALGORITHMS),
            tenants=self._set(self._texts("tenants")),
            services=self._set(self._words("services", SERVICE_IDS)),
            allow_private=private is True,
            acts_for=self._set(self._texts("acts_for")) or frozenset(),
        )
        return None if self.problems else made

    def _text(self, key: str) -> str:
        value = self._data.get(key, "")
        if key in self._data and (not isinstance(value, str) or value != value.strip() or not 0 < len(value) <= 500):
            self._wrong(key, "This is not a text of up to 500 characters.", f"{KEYS[key]} Put it in quotes.")
        return value if isinstance(value, str) else ""

    def _url(self, key: str) -> str:
        url = self._text(key)
        if url and (problem := self._host_problem(url)):
            self._wrong(key, *problem)
        return url

    def _texts(
        self, key: str, problem_of: Callable[[str], tuple[str, str] | None] = lambda _: None
    ) -> tuple[str, ...] | None:
        """A list of texts; None where the key is left out."""
        if key not in self._data:
            return None
        values = self._data[key]
        if not isinstance(values, list) or not all(isinstance(value, str) and value.strip() for value in values):
            self._wrong(key, "This is not a list of texts.", f"Write [one, another]. {KEYS[key]}")
            return None
        if not values and key != "fhir_bases":
            self._wrong(key, "The list is empty.", f"Fill it, or leave '{key}' out.")
        for position, value in enumerate(values):
            if problem := problem_of(value):
                self._wrong((key, position), *problem)
        return tuple(values)

    def _words(self, key: str, known: Mapping[str, object]) -> tuple[str, ...] | None:
        """A list of known words."""
        unknown: Callable[[str], tuple[str, str] | None] = lambda word: (  # noqa: E731
            None if word in known else (f"'{word}' is not known.", nearest(word, known))
        )
        return self._texts(key, unknown)

    @staticmethod
    def _set(values: tuple[str, ...] | None) -> frozenset[str] | None:
        return None if values is None else frozenset(values)

    def _base_problem(self, base: str) -> tuple[str, str] | None:
        if not HostPolicy(None).allows(base):
            return "This is not a FHIR base URL.", "Write it as https://host/path, without user, query or dots."
        return self._host_problem(base)

    def _host_problem(self, url: str) -> tuple[str, str] | None:
        """Whether the URL may be called for this client, as far as its text tells; the rest shows when connecting."""
        origin = origin_of(url)
        if origin is None:
            return "This is not a URL that can be called.", "Write it as https://host/path, without a user."
        if self._data.get("allow_private") is True:
            return None
        if origin.scheme != "https":
            return "Tokens and keys travel over https only.", "Write https, or set 'allow_private: true' for a test."
        if _is_local(origin.host):
            remedy = "If the EHR really is inside your network, set 'allow_private: true'."
            return "The host is not on the public internet.", remedy
        return None

    def _keys(self) -> dict[KeyId, PublicKey]:
        keys, problems = read_keys(self._data["jwks"])
        for position, words in problems:
            place = ("jwks",) if position is None else ("jwks", "keys", position)
            self._wrong(place, words, "Copy the client's JWK set as it is: {keys: [...]}.")
        if not keys and not problems:
            self._wrong("jwks", "There is no key.", "Copy the client's JWK set, or leave 'jwks' out.")
        return keys

    def _wrong(self, place: str | Place, message: str, remedy: str) -> None:
        below = (place,) if isinstance(place, str) and place else place or ()
        self.problems.append(self._document.problem((*self.place, *below), message, remedy))


def _is_local(host: str) -> bool:
    """Whether a host, by its name alone, is no public one."""
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        # A name without a letter at its end is a number in disguise: 2130706433, 0x7f.1, 0177.0.0.1.
        last = host.rstrip(".").rpartition(".")[2]
        return last.isdigit() or last.startswith("0x")
    return not is_public(host.strip("[]"))
