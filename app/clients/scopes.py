"""SMART scopes of a system (SMART App Launch 2.2, "Scopes for requesting FHIR Resources"), in either of its spellings.

Names of resources are compared without regard to case: davinci-dtr writes `system/questionnaire.rs`, its reference
client `system/Questionnaire.rs`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

# What this service lets a client do, by resource type.
SUPPORTED: Mapping[str, str] = {
    "Questionnaire": "rs",
    "Library": "rs",
    "ValueSet": "rs",
    "QuestionnaireResponse": "c",
}
SCOPES = tuple(f"system/{kind}.{actions}" for kind, actions in SUPPORTED.items())

_SCOPE = re.compile(r"system/(?P<kind>\*|[A-Za-z]{1,64})\.(?P<actions>read|write|\*|c?r?u?d?s?)(?:\?\S*)?")
_ACTIONS = {"read": "rs", "write": "cud", "*": "cruds"}


def granted(asked: str) -> tuple[str, ...]:
    """Those of the scopes asked for that let a client do something here, as they were written."""
    offered = [(kind, action) for kind, actions in SUPPORTED.items() for action in actions]
    named = dict.fromkeys(asked.split())
    return tuple(scope for scope in named if any(allows([scope], *each) for each in offered))


def allows(scopes: Iterable[str], kind: str, action: str) -> bool:
    """Whether one of the scopes lets a client do `action` (c, r, u, d or s) to resources of a type.

    One that is narrowed by search parameters (`?…`) is passed over: nothing here could keep it.
    """
    for scope in scopes:
        match = _SCOPE.fullmatch(scope)
        if match is None or "?" in scope:
            continue
        actions = _ACTIONS.get(match["actions"], match["actions"])
        if match["kind"].lower() in ("*", kind.lower()) and action in actions:
            return True
    return False
