"""What a client may switch: declared in discovery, honoured in the answer.

Source: davinci-crd 2.2, "Controlling Hook Invocation" (dev-4 to dev-17): unknown codes are ignored, absence is never an
error, nonsense is handled gracefully.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

COVERAGE_INFORMATION = "coverage-info"
MAX_CARDS = "max-cards"
DEFAULT_MAX_CARDS = 10

# Code → name and description as a clinician's administrator reads them. Codes: THO cdshooks-card-type.
CARD_TYPES = {
    "coverage-info": ("Coverage information", "Whether an order is covered, what it needs, which benefit pays"),
    "claim": ("Claim guidance", "Steps needed to bill for what is ordered"),
    "insurance": ("Insurance", "Help with the patient's coverage itself"),
    "limits": ("Limits", "Limits of the benefit that the order meets or passes"),
    "network": ("Network", "In-network alternatives"),
    "appropriate-use": ("Appropriate use", "Whether appropriate-use documentation is needed"),
    "cost": ("Cost", "What the order is likely to cost the patient"),
    "therapy-alternatives-opt": ("Optional therapy alternatives", "Alternatives with better coverage or lower cost"),
    "therapy-alternatives-req": ("Required therapy alternatives", "Alternatives to be tried first (step therapy)"),
    "clinical-reminder": ("Clinical reminders", "Tests or treatments that go with the order or are due"),
    "duplicate-therapy": ("Duplicate therapy", "The order repeats something already given or planned"),
    "contraindication": ("Contraindication", "The payer's record suggests harm"),
    "guideline": ("Guidelines", "A guideline is available for what is ordered"),
    "off-guideline": ("Off guideline", "The order may depart from a guideline"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Configuration:
    """The options of one call."""

    coverage_information: bool = True
    max_cards: int = DEFAULT_MAX_CARDS
    switched_off: frozenset[str] = field(default_factory=frozenset)

    def wants(self, topic: str) -> bool:
        """Whether cards of this type may be shown."""
        return topic not in self.switched_off


def read_configuration(stated: Mapping[str, Any]) -> Configuration:
    """Options from the request. A value of the wrong type counts as not given; a negative `max-cards` as 0."""
    most = stated.get(MAX_CARDS)
    if isinstance(most, bool) or not isinstance(most, int):
        most = DEFAULT_MAX_CARDS
    return Configuration(
        coverage_information=stated.get(COVERAGE_INFORMATION) is not False,
        max_cards=max(0, most),
        switched_off=frozenset(code for code in CARD_TYPES if stated.get(code) is False),
    )


def options(topics: list[str]) -> list[dict[str, Any]]:
    """The `davinci-crd.configuration-options` of a service that may return these card types."""
    declared: list[dict[str, Any]] = [
        {
            "code": code,
            "type": "boolean",
            "name": CARD_TYPES[code][0],
            "description": CARD_TYPES[code][1],
            "default": True,
        }
        for code in topics
    ]
    declared.append(
        {
            "code": MAX_CARDS,
            "type": "integer",
            "name": "Maximum cards",
            "description": "The most cards to return; those of highest priority come first",
            "default": DEFAULT_MAX_CARDS,
        }
    )
    return declared
