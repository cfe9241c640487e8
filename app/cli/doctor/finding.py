"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` names what was looked at, `said` what was found there, `remedy` what to do about it ("" when well)."""

    check: str
    verdict: Verdict
    said: str
    remedy: str = ""


def ok(check: str, said: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", said)


def warning(check: str, said: str, remedy: str) -> Finding:
    """It works, and may not for long or not as meant."""
    return Finding(check, "warning", said, remedy)


def wrong(check: str, said: str, remedy: str) -> Finding:
    """The service would not start or not answer so."""
    return Finding(check, "wrong", said, remedy)
