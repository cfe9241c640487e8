"""A file of calls that left the ledger: compressed, sealed, and as good as the rows were.

A line that says what it is, a line of JSON that says which archive it is, and sealed parts, each after its length in
four bytes. A part is a zstd frame of MessagePack: a list of calls. Each is bound to its place, and the last to being
the last, so that none can be left out, moved or added. `read` gives every row as it stood, blobs opened.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from app.encryption import Encryption
from app.errors import EncryptionError, LedgerError
from app.ledger import chain
from app.ledger.rows import Row

_FIRST_LINE = b"signpost ledger archive 1\n"
_LEVEL = 9  # written once, and kept for years


@dataclass(frozen=True, slots=True)
class ArchivedCall:
    """The rows of a call. `exchange`, `fetched`, `basis`, `facts` and `answer` are content, not as they were kept.

    `honoured` has the digests of assertions that an earlier call made and this one gave again.
    """

    invocation: Row
    assertions: list[Row]
    cards: list[Row]
    events: list[Row]
    honoured: dict[str, str]

    @property
    def exchange(self) -> tuple[bytes | None, bytes]:
        """Request, None where it was not kept, and response."""
        whole, size = self.invocation["exchange"], self.invocation["request_size"]
        return (whole[:size], whole[size:]) if self.invocation["request_kept"] else (None, whole)

    def told(self) -> Row:
        """All of it for a reader, as JSON takes it: what is JSON as it stands, other bytes as text."""
        request, response = self.exchange
        call = {name: value for name, value in self.invocation.items() if name != "exchange"}
        told = {**call, "request": request, "response": response, "assertions": self.assertions, "cards": self.cards}
        return {name: _readable(value) for name, value in told.items()}

    def faults(self) -> list[str]:
        """What is not as the events vouch; [] is good."""
        row = self.invocation
        where = f"invocation {row['invocation_id']}"
        request, response = self.exchange
        told = chain.invocation_digest(row, row["fetched"], row["basis"])
        cards = chain.cards_digest(self.cards)
        digests: dict[str | None, str | None] = {None: None}
        digests.update(self.honoured)
        for each in self.assertions:
            digests[each["assertion_id"]] = chain.assertion_digest(each, each["facts"], each["answer"])
        found = [] if self.events else [f"{where}: no event vouches for it"]
        if request is not None and chain.content_digest(request) != row["request_sha256"]:
            found.append(f"{where}: the request does not match its hash")
        if chain.content_digest(response) != row["response_sha256"]:
            found.append(f"{where}: the response does not match its hash")
        for event in self.events:
            if event["assertion_id"] not in digests:
                found.append(f"{where}: assertion {event['assertion_id']} is missing")
            elif event["payload_hash"] != chain.payload_hash(told, digests[event["assertion_id"]], cards):
                found.append(f"{where}: event {event['seq']} vouches for something else")
            if event["hash"] != chain.event_hash(event):
                found.append(f"{where}: event {event['seq']} is not what was written")
        return found


def _readable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _readable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_readable(each) for each in value]
    if not isinstance(value, bytes):
        return value
    try:
        return msgspec.Raw(value) if msgspec.json.decode(value) is not None else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return value.decode(errors="replace")


def write(path: Path, number: int, parts: Iterable[list[ArchivedCall]], encryption: Encryption) -> str:
    """Write archive `number`; the SHA-256 of the file, which is on the disk when this returns."""
    coming = path.with_name(f"{path.name}.part")
    compress = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True).compress
    with open(coming, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(_FIRST_LINE + msgspec.json.encode({"archive": number}) + b"\n")
        for index, calls, last in _with_last(parts):
            sealed = encryption.seal(compress(msgspec.msgpack.encode(calls)), _place(number, index, last=last))
            file.write(len(sealed).to_bytes(4, "big") + sealed)
        file.flush()
        os.fsync(file.fileno())
    coming.rename(path)
    return sha256_of(path)


def read(path: Path, encryption: Encryption) -> Iterator[ArchivedCall]:
    """The calls in a file. LedgerError when it is no archive, is cut off or was changed, or its key is not at hand."""
    try:
        with path.open("rb") as file:
            if file.readline() != _FIRST_LINE:
                raise LedgerError(f"{path} is no archive of a ledger")
            number = int(msgspec.json.decode(file.readline())["archive"])
            index, size = 0, file.read(4)
            while size:
                sealed, size = file.read(int.from_bytes(size, "big")), file.read(4)
                frame = encryption.unseal(sealed, _place(number, index, last=not size))
                yield from _decoder.decode(zstandard.decompress(frame))
                index += 1
    except OSError as error:
        raise LedgerError(f"{path} cannot be read: {error.strerror}") from None
    except (EncryptionError, zstandard.ZstdError, msgspec.MsgspecError, KeyError, ValueError) as error:
        why = str(error) if isinstance(error, EncryptionError) else "it is damaged"
        raise LedgerError(f"{path} cannot be read: {why}") from None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def events_digest(hashes: Iterable[str]) -> str:
    """SHA-256 over the hashes of archived events, in the order of the chain."""
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


_decoder = msgspec.msgpack.Decoder(list[ArchivedCall])


def _place(number: int, index: int, *, last: bool) -> bytes:
    return f"archive {number} part {index}{' last' if last else ''}".encode()


def _with_last(parts: Iterable[list[ArchivedCall]]) -> Iterator[tuple[int, list[ArchivedCall], bool]]:
    waiting: Any = None
    index = -1
    for index, part in enumerate(parts):
        if waiting is not None:
            yield index - 1, waiting, False
        waiting = part
    yield max(index, 0), waiting or [], True
