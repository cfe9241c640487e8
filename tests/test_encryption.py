"""Sealing what is kept of patients."""

from __future__ import annotations

import base64
import multiprocessing
import stat
from pathlib import Path

import pytest

from app.encryption import Encryption
from app.errors import EncryptionError, SettingsError

ONE, OTHER = bytes(32), bytes(range(32))


def text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def test_what_is_sealed_opens_and_does_not_show() -> None:
    encryption = Encryption([ONE])
    sealed = encryption.seal(b"Zebedee", b"order")
    assert b"Zebedee" not in sealed
    assert encryption.unseal(sealed, b"order") == b"Zebedee"
    assert encryption.seal(b"Zebedee", b"order") != sealed, "each seal has a nonce of its own"


def test_it_opens_only_with_what_it_is_bound_to() -> None:
    sealed = Encryption([ONE]).seal(b"Zebedee", b"order")
    with pytest.raises(EncryptionError, match="belongs to something else"):
        Encryption([ONE]).unseal(sealed, b"another order")


@pytest.mark.parametrize("position", [0, 1, 5, 20, -1])
def test_a_changed_byte_is_noticed(position: int) -> None:
    sealed = bytearray(Encryption([ONE]).seal(b"Zebedee", b""))
    sealed[position] ^= 1
    with pytest.raises(EncryptionError):
        Encryption([ONE]).unseal(bytes(sealed), b"")


@pytest.mark.parametrize("broken", [b"", b"\x01", b"\x01" + bytes(20)])
def test_what_was_never_sealed(broken: bytes) -> None:
    with pytest.raises(EncryptionError, match="not a text that Signpost sealed"):
        Encryption([ONE]).unseal(broken, b"")


def test_a_text_is_sealed_to_the_same_and_opens_in_its_column_only() -> None:
    one, both = Encryption([bytes([1]) * 32]), Encryption([bytes([2]) * 32, bytes([1]) * 32])
    sealed = one.seal_text("m-77", "member_id")
    assert "m-77" not in sealed
    assert sealed == one.seal_text("m-77", "member_id") != one.seal_text("m-78", "member_id")
    assert sealed != both.seal_text("m-77", "member_id")
    assert both.sealed_texts("m-77", "member_id")[1] == sealed
    assert both.unseal_text(sealed, "member_id") == "m-77"
    assert one.unseal_text(one.seal_text("", "about"), "about") == ""
    assert both.seal_text("m-77", "member_id").startswith(both.text_mark)
    refused = (
        (sealed, "order_ref"),
        (sealed[:-4], "member_id"),
        ("sealed:", "member_id"),
        (both.seal_text("m-77", "member_id"), "member_id"),
    )
    for text, column in refused:
        with pytest.raises(EncryptionError):
            one.unseal_text(text, column)


def test_keys_rotate() -> None:
    old = Encryption([ONE]).seal(b"old", b"")
    both = Encryption([OTHER, ONE])
    assert both.unseal(old, b"") == b"old"
    assert Encryption([OTHER]).unseal(both.seal(b"new", b""), b"") == b"new"
    with pytest.raises(EncryptionError, match="not among the settings"):
        Encryption([OTHER]).unseal(old, b"")


def test_keys_of_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "encryption.key"
    urlsafe = base64.urlsafe_b64encode(bytes([251] * 32)).decode()
    sealed = Encryption.of([urlsafe, text(ONE)], file).seal(b"x", b"")
    assert Encryption.of([text(bytes([251] * 32))], file).unseal(sealed, b"") == b"x"
    assert not file.exists()


@pytest.mark.parametrize("key", ["", "secret", text(b"short"), "!" * 44])
def test_what_is_no_key(key: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Key 2 of SIGNPOST_ENCRYPTION_KEYS is not 32 bytes") as refused:
        Encryption.of([text(ONE), key], tmp_path / "encryption.key")
    assert not key or key not in str(refused.value)


def test_the_key_file_is_made_once_for_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "data" / "encryption.key"
    sealed = Encryption.of((), file).seal(b"x", b"")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["encryption.key"]
    assert Encryption.of((), file).unseal(sealed, b"") == b"x"


def _sealed(file: Path) -> bytes:
    return Encryption.of((), file).seal(b"x", b"")


def test_processes_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    file = tmp_path / "encryption.key"
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        sealed = pool.map(_sealed, [file] * 3)
    assert [Encryption.of((), file).unseal(each, b"") for each in sealed] == [b"x"] * 3


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "holds no key"), (b"abc", "Key 1 of"), (b"\xff", "cannot be used")]
)
def test_a_key_file_that_cannot_be_used(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "encryption.key"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=said):
        Encryption.of((), file)
