"""Who may do what in the console."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

Role = Literal["viewer", "editor", "approver", "auditor"]
Permission = Literal["rules", "figures", "persons", "draft", "approve", "reads"]

ROLES: Mapping[Role, frozenset[Permission]] = {
    "viewer": frozenset({"rules", "figures"}),
    "editor": frozenset({"rules", "figures", "persons", "draft"}),
    "approver": frozenset({"rules", "figures", "persons", "approve"}),
    "auditor": frozenset({"rules", "figures", "persons", "reads"}),
}
"""What each role may do. `persons` is to see answers about members; every such look is recorded."""

MEANINGS: Mapping[Role, str] = {
    "viewer": "looks at rules and figures, at nobody's data",
    "editor": "also changes rules in drafts, and sees why an answer came out as it did",
    "approver": "approves what an editor submits, and sees why an answer came out as it did",
    "auditor": "sees answers, and who read them",
}

Roles: TypeAlias = frozenset[Role]


def permissions(roles: Iterable[Role]) -> frozenset[Permission]:
    """All that these roles may do together. Nobody approves their own rules, whatever their roles."""
    return frozenset[Permission]().union(*(ROLES[role] for role in roles))


def known_roles(words: Iterable[str]) -> Roles:
    """The roles among some words; others are none of ours."""
    return frozenset(role for role in ROLES if role in set(words))
