"""What checking a client's JWT adds to a call: `python -m bench.jwt`. CPU of the process, everything included."""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app.clients import Client, ClientTrust
from app.clients.key_cache import KeyCache
from app.clients.public_keys import read_keys
from app.state import MemoryState, SharedState, SqliteState

ISS, URL = "https://ehr.example.org", "https://crd.payer.example/cds-services/order-sign-crd"
KEYS = {
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "RS384": lambda: rsa.generate_private_key(65537, 2048),
}


def measure(algorithm: str, state: SharedState, count: int = 2000) -> float:
    """CPU microseconds of one verification, from the Authorization header to the mark of its `jti`."""
    key = KEYS[algorithm]()
    jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    keys, _ = read_keys({"keys": [{**jwk, "kid": "k"}]})
    client = Client("Bench", ISS, (), jwks_url=f"{ISS}/jwks.json")
    cache = KeyCache(lambda _: json.dumps({"keys": [{**jwk, "kid": "k"}]}).encode())
    assert cache.key(client, ("k", algorithm)) == keys["k", algorithm]
    trust = ClientTrust({ISS: client}, cache, state, lifetime=300)
    headers = [f"Bearer {_signed(key, algorithm)}" for _ in range(count)]
    before = time.process_time()
    for header in headers:
        trust.verify(header, (URL,))
    return (time.process_time() - before) * 1e6 / count


def _signed(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, algorithm: str) -> str:
    now = int(time.time())
    claims = {"iss": ISS, "aud": URL, "iat": now, "exp": now + 300, "jti": str(uuid.uuid4())}
    return jwt.encode(claims, key, algorithm, {"kid": "k", "jku": f"{ISS}/jwks.json"})


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="signpost-bench-") as folder:
        for algorithm in KEYS:
            for name, state in (("memory", MemoryState()), ("sqlite", SqliteState(Path(folder) / "state.sqlite"))):
                print(f"JWT {algorithm}, jti in {name:<7} CPU {measure(algorithm, state):6.0f} us/req", flush=True)


if __name__ == "__main__":
    main()
