"""What is kept of a patient is kept encrypted: AES-256-GCM, with keys that can be changed.

A sealed text is `0x01`, four bytes that name its key, a nonce of twelve bytes, and the ciphertext with its tag. It
opens only with what it is bound to (the additional authenticated data of NIST SP 800-38D), so that a row cannot be
moved to another order or member.

What must be found again by its own text is sealed by AES-SIV (RFC 5297) under keys derived from the same: the same
text gives the same, so whoever sees it learns which are equal and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.errors import EncryptionError, SettingsError

if TYPE_CHECKING:
    from app.settings import Settings

_FORMAT = b"\x01"
_NAME, _NONCE, _TAG = 4, 12, 16
_TEXT = "sealed:"


class Encryption:
    """The first key seals, every key opens. Safe to share between threads."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """`keys` are of 32 bytes each, at least one."""
        self._keys = tuple(keys)
        self._ciphers = {_name(key): AESGCM(key) for key in keys}
        self._first = _name(keys[0])
        self.mark = _FORMAT + self._first
        """What everything begins with that is sealed under the first key."""
        self._texts = {f"{_TEXT}{_name(key).hex()}:": AESSIV(_text_key(key)) for key in keys}
        self.text_mark = f"{_TEXT}{self._first.hex()}:"
        """As `mark`, of texts."""

    def __reduce__(self) -> tuple[type[Self], tuple[tuple[bytes, ...]]]:
        """Ciphers cannot be handed to another process; keys can."""
        return type(self), (self._keys,)

    @classmethod
    def of_settings(cls, settings: Settings) -> Self:
        """With the keys of the settings, or that of the data folder."""
        return cls.of([key.get_secret_value() for key in settings.encryption_keys], settings.key_path)

    @classmethod
    def of(cls, keys: Sequence[str], key_file: Path) -> Self:
        """From keys in base64; without any, from a key file, which is made where there is none.

        SettingsError, which quotes no key, for one that is none or a file that cannot be used.
        """
        stated = list(keys) or _in_file(key_file)
        where = "SIGNPOST_ENCRYPTION_KEYS" if keys else str(key_file)
        return cls([_key(text, f"Key {number} of {where}") for number, text in enumerate(stated, 1)])

    def seal(self, content: bytes, bound_to: bytes) -> bytes:
        """Encrypt under the first key."""
        nonce = os.urandom(_NONCE)
        return self.mark + nonce + self._ciphers[self._first].encrypt(nonce, content, bound_to)

    @staticmethod
    def is_sealed(content: bytes) -> bool:
        """Whether this was sealed, under whatever key, and not a zstd frame, JSON or other text."""
        return content[:1] == _FORMAT

    def unseal(self, sealed: bytes, bound_to: bytes) -> bytes:
        """Decrypt; EncryptionError for another binding, a damaged text, or a key that is not at hand."""
        name, nonce = sealed[1 : 1 + _NAME], sealed[1 + _NAME : 1 + _NAME + _NONCE]
        if sealed[:1] != _FORMAT or len(sealed) < 1 + _NAME + _NONCE + _TAG:
            raise EncryptionError("this is not a text that Signpost sealed")
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise EncryptionError("it was sealed under a key that is not among the settings")
        try:
            return cipher.decrypt(nonce, sealed[1 + _NAME + _NONCE :], bound_to)
        except InvalidTag:
            raise EncryptionError("it was changed, or belongs to something else") from None

    def seal_text(self, text: str, bound_to: str) -> str:
        """Seal under the first key, to the same each time."""
        return self._sealed_text(self.text_mark, text, bound_to)

    def sealed_texts(self, text: str, bound_to: str) -> list[str]:
        """What the text is sealed to under each key, the first first."""
        return [self._sealed_text(mark, text, bound_to) for mark in self._texts]

    def _sealed_text(self, mark: str, text: str, bound_to: str) -> str:
        # A byte ahead, for AES-SIV seals no empty text.
        sealed = self._texts[mark].encrypt(b"\x01" + text.encode(), [bound_to.encode()])
        return mark + base64.urlsafe_b64encode(sealed).decode()

    @staticmethod
    def is_sealed_text(text: object) -> bool:
        """Whether this was sealed as a text, under whatever key."""
        return isinstance(text, str) and text.startswith(_TEXT)

    def unseal_text(self, sealed: str, bound_to: str) -> str:
        """Open a sealed text; EncryptionError as `unseal`."""
        end = len(self.text_mark)
        cipher = self._texts.get(sealed[:end])
        if cipher is None:
            raise EncryptionError("it was sealed under a key that is not among the settings")
        try:
            return cipher.decrypt(base64.urlsafe_b64decode(sealed[end:]), [bound_to.encode()])[1:].decode()
        except (InvalidTag, ValueError):
            raise EncryptionError("it was changed, or belongs to something else") from None


def _text_key(key: bytes) -> bytes:
    """The key of AES-256-SIV that goes with a key."""
    return HKDF(SHA256(), length=64, salt=None, info=b"signpost texts").derive(key)


def _name(key: bytes) -> bytes:
    """Four bytes that tell keys apart and tell nothing of the key."""
    return hashlib.sha256(b"signpost key name" + key).digest()[:_NAME]


def _key(text: str, which: str) -> bytes:
    try:
        key = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise SettingsError(f"{which} is not 32 bytes in base64. Make one with `openssl rand -base64 32`.")
    return key


def _in_file(path: Path) -> list[str]:
    """The keys in a file, one a line; the file is made, for its owner only, where there is none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written apart and linked: of several processes that start at once, all read the key of the first.
        apart = path.with_name(f"{path.name}.{os.getpid()}")
        if not path.exists():
            handle = os.open(apart, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(base64.b64encode(os.urandom(32)) + b"\n")
            try:
                os.link(apart, path)
            except FileExistsError:
                pass
            finally:
                apart.unlink()
        lines = path.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The key file {path} cannot be used: {type(error).__name__}.") from None
    if not lines:
        raise SettingsError(f"The key file {path} holds no key. Make one with `openssl rand -base64 32`.")
    return lines
