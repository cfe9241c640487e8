"""Short texts that tell of a patient, sealed so that the same text can still be looked for.

The same text under the same key seals to the same (AES-SIV), so an index finds it. That tells whoever has the database
which rows are of one member, but not of whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.encryption import Encryption
from app.errors import EncryptionError

COLUMNS = frozenset({"member_id", "order_ref", "coverage_ref", "order_refs", "suggestion_ids", "user_comment", "about"})
"""Columns of whatever table. Each is what its text is bound to: a member id opens as no order."""


class Texts:
    """Seals and opens the texts of rows. Without keys nothing is sealed; what is not sealed is read as it stands."""

    def __init__(self, encryption: Encryption | None) -> None:
        self._encryption = encryption

    def sealed(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row as it is kept."""
        encryption = self._encryption
        if encryption is None:
            return dict(row)
        return {
            name: encryption.seal_text(value, name) if name in COLUMNS and isinstance(value, str) else value
            for name, value in row.items()
        }

    def opened(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row as it was before it was sealed; digests of the chain are of this one. EncryptionError."""
        return {
            name: self._open(value, name) if name in COLUMNS and Encryption.is_sealed_text(value) else value
            for name, value in row.items()
        }

    def _open(self, kept: str, column: str) -> str:
        if self._encryption is None:
            raise EncryptionError("it is sealed, and no key is at hand")
        return self._encryption.unseal_text(kept, column)

    def wanted(self, text: str, column: str) -> list[str]:
        """What the text may stand as in a column: sealed under each key, and as it is."""
        return [*self._encryption.sealed_texts(text, column), text] if self._encryption else [text]

    @property
    def forms(self) -> int:
        """How many `wanted` gives."""
        return len(self.wanted("", "member_id"))
