"""Inferno's assertions on the kinds of response of one hook: cards, coverage-information, offers, forms.

Conventions as in `inferno`. `CHECKS` holds the assertions of a hook group by their ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.conformance.inferno import (
    HOOKS,
    NEEDS_SYSTEM_ACTIONS,
    ORDERS,
    Check,
    Exchange,
    Exchanges,
    Json,
    NothingToJudge,
    Valid,
    action_problems,
    field,
    hook_call,
    is_url,
    listed,
    response_valid,
    valid_actions,
    valid_cards,
)

COVERAGE_INFORMATION = "http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-coverage-information"
SUBJECTS = {
    "appointment-book": frozenset({"Appointment"}),
    "encounter-start": frozenset({"Encounter"}),
    "encounter-discharge": frozenset({"Encounter"}),
}
ALTERNATE_TYPES = ORDERS | {"Device", "Encounter", "Medication"}
ADDITIONAL_TYPES = ORDERS | {"CommunicationRequest", "Device", "Medication"}


# 1.6 and the kinds of card.


def card_optional(exchanges: Exchanges, _: Valid) -> list[str]:
    """crd.card.optional."""
    cards = _all_cards(exchanges)
    if not cards:
        raise NothingToJudge("no valid card")
    return [f"card {position}: {words}" for position, card in enumerate(cards) for words in optional_problems(card)]


def _all_cards(exchanges: Exchanges) -> list[Json]:
    return [card for each in exchanges for card in valid_cards(each)]


def optional_problems(card: Json) -> list[str]:
    """1.6 for one card."""
    wrong: list[str] = []
    for name in ("uuid", "detail"):
        wrong += field(card, name, "String", optional=True)
    for name in ("suggestions", "overrideReasons", "links"):
        wrong += field(card, name, "Array", optional=True)
    if card.get("suggestions") and card.get("selectionBehavior") not in ("at-most-one", "any"):
        wrong.append("selectionBehavior is neither at-most-one nor any")
    for name, problems_of in (
        ("overrideReasons", _reason_problems),
        ("links", _link_problems),
        ("suggestions", _suggestion_problems),
    ):
        for position, each in enumerate(listed(card, name)):
            found = problems_of(each) if isinstance(each, dict) else ["it is no object"]
            wrong += [f"{name}[{position}]: {words}" for words in found]
    return wrong


def _reason_problems(reason: Json) -> list[str]:
    return [words for name in ("code", "system", "display") for words in field(reason, name, "String")]


def _link_problems(link: Json) -> list[str]:
    wrong = [*field(link, "label", "String"), *field(link, "type", "String")]
    if link.get("type") not in ("absolute", "smart"):
        wrong.append("type is neither absolute nor smart")
    if not is_url(link.get("url")):
        wrong.append("url is no URL")
    if link.get("type") == "absolute" and "appContext" in link:
        wrong.append("appContext stands on an absolute link")
    return wrong


def _suggestion_problems(suggestion: Json) -> list[str]:
    wrong = [*field(suggestion, "label", "String"), *field(suggestion, "actions", "Array", optional=True)]
    for position, action in enumerate(listed(suggestion, "actions")):
        wrong += [f"actions[{position}]: {words}" for words in action_problems(action)]
    return wrong


def external_reference(exchanges: Exchanges, _: Valid) -> list[str]:
    """crd.card.extref."""
    return [] if _has_links(exchanges, "absolute") else ["no valid card has links that are all absolute"]


def smart(exchanges: Exchanges, _: Valid) -> list[str]:
    """crd.card.smart."""
    if not _has_links(exchanges, "smart"):
        raise NothingToJudge("no valid card has links that are all to SMART apps")
    return []


def _has_links(exchanges: Exchanges, kind: str) -> bool:
    linking = [card["links"] for card in _all_cards(exchanges) if card.get("links") and not optional_problems(card)]
    return any(all(link["type"] == kind for link in links) for links in linking)


def instructions(exchanges: Exchanges, _: Valid) -> list[str]:
    """crd.card.instr."""
    plain = [card for card in _all_cards(exchanges) if not card.get("links") and not card.get("suggestions")]
    return [] if plain else ["no valid card has neither links nor suggestions"]


# 1.7 Coverage information.


def coverage_actions(exchanges: Exchanges) -> list[Json]:
    """The system actions on what the hook is about that carry coverage-information."""
    return [
        action
        for each in exchanges
        for action in valid_actions(each)
        if action.get("resource", {}).get("resourceType") in SUBJECTS.get(each.hook, ORDERS)
        and repetitions(action["resource"])
    ]


def repetitions(resource: Json) -> list[Json]:
    return [each for each in listed(resource, "extension") if each.get("url") == COVERAGE_INFORMATION]


def coverage_received(exchanges: Exchanges, _: Valid) -> list[str]:
    """crd.sys.covinfo.received."""
    return [] if coverage_actions(exchanges) else ["no valid system action carries coverage-information"]


def coverage_valid(exchanges: Exchanges, valid: Valid) -> list[str]:
    """crd.sys.covinfo.valid."""
    actions = coverage_actions(exchanges)
    if not actions:
        raise NothingToJudge("no coverage-information was received")
    wrong = []
    for position, action in enumerate(actions):
        found = [] if action["type"] == "update" else [f"type is {action['type']}"]
        found += valid(action["resource"]) + _identity_problems(repetitions(action["resource"]))
        wrong += [f"action {position}: {words}" for words in found]
    return wrong


def _identity_problems(found: list[Json]) -> list[str]:
    """Which repetitions belong together: one assertion id to a coverage, and none for two."""
    wrong = []
    for name, least in (("coverage-assertion-id", 1), ("satisfied-pa-id", 0)):
        by_coverage: dict[str | None, set[str | None]] = {}
        for each in found:
            coverage = (_part(each, "coverage") or {}).get("reference")
            by_coverage.setdefault(coverage, set()).add(_part(each, name))
        for coverage, ids in by_coverage.items():
            stated = ids - {None}
            if len(ids if least else stated) > 1 or len(stated) < least:
                wrong.append(f"{coverage}: not one {name}")
        flat = [each for ids in by_coverage.values() for each in ids if each is not None]
        if len(flat) != len(set(flat)):
            wrong.append(f"two coverages have one {name}")
    return wrong


def _part(repetition: Json, name: str) -> Any:
    for each in repetition.get("extension", ()):
        if each.get("url") == name:
            return next((value for key, value in each.items() if key.startswith("value")), None)
    return None


# 1.8 The other kinds of response.


def alternate(exchanges: Exchanges, valid: Valid) -> list[str]:
    """crd.card.alternate."""
    offers = [
        (each, suggestion["actions"])
        for each in exchanges
        for suggestion in _suggestions(each)
        if _is_alternate(suggestion["actions"])
    ]
    if not offers:
        raise NothingToJudge("no alternate request is offered")
    return [words for each, actions in offers for words in _alternate_problems(drafts(each.request), actions, valid)]


def _suggestions(each: Exchange) -> Iterator[Json]:
    for card in valid_cards(each):
        if not optional_problems(card):
            yield from (suggestion for suggestion in card.get("suggestions", ()) if suggestion.get("actions"))


def drafts(request: Json) -> set[str]:
    """`Type/id` of the submitted draft orders."""
    entries = request.get("context", {}).get("draftOrders", {}).get("entry", ())
    return {f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in entries}


def _target(action: Json) -> str:
    if action["type"] == "delete":
        return str(action["resourceId"])
    return f"{action['resource']['resourceType']}/{action['resource'].get('id')}"


def _is_alternate(actions: list[Json]) -> bool:
    kinds = {action["type"] for action in actions if _target(action).split("/")[0] in ALTERNATE_TYPES}
    return "update" in kinds or {"delete", "create"} <= kinds


def _alternate_problems(submitted: set[str], actions: list[Json], valid: Valid) -> list[str]:
    created = {_target(action).split("/")[0] for action in actions if action["type"] == "create"}
    wrong = []
    for action in actions:
        if action["type"] != "delete":
            wrong += valid(action["resource"])
        if action["type"] != "create" and _target(action) not in submitted:
            wrong.append(f"{action['type']} of {_target(action)}, which was not submitted")
        if action["type"] == "delete" and _target(action).split("/")[0] not in created:
            wrong.append(f"delete of {_target(action)} without a create of its type")
    return wrong


def additional_orders(exchanges: Exchanges, valid: Valid) -> list[str]:
    """crd.card.addlorders."""
    found = []
    for card in _offering_cards(exchanges):
        actions = [action for suggestion in card["suggestions"] for action in suggestion.get("actions", ())]
        if actions and all(
            a["type"] == "create" and a["resource"]["resourceType"] in ADDITIONAL_TYPES for a in actions
        ):
            found += [action["resource"] for action in actions]
    if not found:
        raise NothingToJudge("no additional order is offered")
    return [words for resource in found for words in valid(resource)]


def _offering_cards(exchanges: Exchanges) -> list[Json]:
    return [card for card in _all_cards(exchanges) if card.get("suggestions") and not optional_problems(card)]


def _single_actions(exchanges: Exchanges, is_meant: Callable[[Json], bool], *, one_suggestion: bool) -> list[Json]:
    """The actions of a kind: of cards whose suggestions hold one such action each, and among the system actions."""
    found = [action for each in exchanges for action in valid_actions(each) if is_meant(action)]
    for card in _offering_cards(exchanges):
        offers = [suggestion.get("actions", []) for suggestion in card["suggestions"]]
        if all(len(actions) == 1 and is_meant(actions[0]) for actions in offers):
            found += [actions[0] for actions in offers if len(offers) == 1 or not one_suggestion]
    return found


def form(exchanges: Exchanges, valid: Valid) -> list[str]:
    """crd.form."""
    found = _single_actions(exchanges, _is_form, one_suggestion=False)
    if not found:
        raise NothingToJudge("no form is asked for by a Task")
    return [words for action in found for words in valid(action["resource"])]


def _is_form(action: Json) -> bool:
    task = action.get("resource", {})
    codings = task.get("code", {}).get("coding", ()) if task.get("resourceType") == "Task" else ()
    return (
        action["type"] == "create"
        and any(coding.get("code") == "complete-questionnaire" for coding in codings)
        and any(
            given.get("type", {}).get("text") == "questionnaire" and is_url(given.get("valueCanonical"))
            for given in task.get("input", ())
        )
    )


def coverage_update(exchanges: Exchanges, valid: Valid) -> list[str]:
    """crd.coverage.update."""
    found = _single_actions(exchanges, _is_coverage, one_suggestion=True)
    if not found:
        raise NothingToJudge("no Coverage is created or updated")
    return [words for action in found for words in valid(action["resource"])]


def _is_coverage(action: Json) -> bool:
    return action["type"] in ("create", "update") and action["resource"]["resourceType"] == "Coverage"


CHECKS: dict[str, Check] = {
    "crd.hook.call": hook_call,
    "crd.resp.valid": response_valid,
    "crd.card.optional": card_optional,
    "crd.card.extref": external_reference,
    "crd.card.smart": smart,
    "crd.card.instr": instructions,
    "crd.sys.covinfo.received": coverage_received,
    "crd.sys.covinfo.valid": coverage_valid,
    "crd.card.alternate": alternate,
    "crd.card.addlorders": additional_orders,
    "crd.form": form,
    "crd.coverage.update": coverage_update,
}
ORDER_HOOKS_ONLY = {
    "crd.card.alternate": ("order-select", "order-sign"),
    "crd.card.addlorders": ("order-select", "order-sign"),
}
# 1.9: passed when its test passed in one hook group at least.
ACROSS_HOOKS = {
    "crd.req.extref": "crd.card.extref",
    "crd.req.instr": "crd.card.instr",
    "crd.req.covinfo": "crd.sys.covinfo.valid",
}


def is_mandatory(assertion: str, hook: str) -> bool:
    """Whether Inferno's group for the hook passes only if this does."""
    if assertion.startswith("crd.sys.covinfo"):
        return hook in NEEDS_SYSTEM_ACTIONS
    return assertion in ("crd.hook.call", "crd.resp.valid")


def groups_of(assertion: str) -> tuple[str, ...]:
    """The hooks whose groups hold an assertion."""
    return ORDER_HOOKS_ONLY.get(assertion, HOOKS)
