"""Inferno's DTR payer server suite, each of its assertions as a function over what a service answered.

Source: inferno-framework/davinci-dtr-test-kit 0.17.0, suite `dtr_payer_server` (DTR 2.0.1), restated. An assertion
returns what is wrong, in words; nothing wrong is Inferno's PASS. It raises NothingToJudge where Inferno skips.

The suite contradicts itself. Its test 2.06 wants an expression on an item of the adaptive shell, and when it passes it
empties the scratch that 2.07 and 2.08 then find "No resources" in; so no server passes all three (`SCRATCH`). A shell
without items fails 2.06 and leaves the others to pass: what this service does, since 2.2 allows no items there
(dtr-questionnaire-adapt-search, item 0..0).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.conformance.inferno import NothingToJudge

Json = dict[str, Any]
Valid = Callable[[Json, str], list[str]]
"""The errors of a resource held to a profile."""

DTR = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition"
_CORE = "http://hl7.org/fhir/StructureDefinition"
LAUNCH = f"{SDC}/sdc-questionnaire-launchContext"
CONTEXT = f"{SDC}/sdc-questionnaire-itemPopulationContext"
VARIABLE = f"{_CORE}/variable"
LIBRARY = f"{_CORE}/cqf-library"
ROOT = (LAUNCH, VARIABLE, CONTEXT, LIBRARY)
ITEM = tuple(f"{SDC}/sdc-questionnaire-{name}Expression" for name in ("initial", "candidate", "context"))
SCRATCH = "2.06 passes only when the shell has items, and then takes away what 2.07 and 2.08 judge"


def request_valid(request: Json, valid: Valid) -> list[str]:
    """dtr.s.req.valid, dtr.a.req.valid: the tester's own request."""
    wrong = valid(request, f"{DTR}/dtr-qpackage-input-parameters")
    if wrong:
        raise NothingToJudge(f"the request is not valid: {wrong}")
    return []


def response(status: int, body: Any, valid: Valid) -> list[str]:
    """dtr.s.response, dtr.a.response."""
    if status not in (200, 201):
        return [f"status is {status}"]
    kind = body.get("resourceType") if isinstance(body, dict) else None
    profiles = {"Bundle": f"{DTR}/DTR-QPackageBundle", "Parameters": f"{DTR}/dtr-qpackage-output-parameters"}
    if kind not in profiles:
        return [f"the body is a {kind}"]
    found = [] if bundles_of(body) else ["there is no Bundle"]
    return found + valid(body, profiles[kind])


def bundles_of(body: Json) -> list[Json]:
    """Every Bundle of an answer."""
    if body["resourceType"] == "Bundle":
        return [body]
    resources = [each.get("resource", {}) for each in body.get("parameter", ())]
    return [each for each in resources if each.get("resourceType") == "Bundle"]


def of_type(bundles: Sequence[Json], kind: str) -> list[Json]:
    found = [entry["resource"] for bundle in bundles for entry in bundle.get("entry", ())]
    return [each for each in found if each["resourceType"] == kind]


def libraries(bundles: Sequence[Json]) -> list[str]:
    """dtr.s.libraries, dtr.a.libraries."""
    found = of_type(bundles, "Library")
    wrong = [] if found else ["there is no Library"]
    for each in found:
        held = {content.get("contentType") for content in each.get("content", ())}
        wrong += [f"{each.get('name')} has no {kind}" for kind in {"text/cql", "application/elm+json"} - held]
    names = [each.get("name") for each in found]
    return wrong + [f"two Libraries are named {name}" for name in {n for n in names if names.count(n) > 1}]


def extensions(questionnaires: Sequence[Json], known: Sequence[Json]) -> list[str]:
    """dtr.s.extensions, dtr.a.extensions, dtr.a.next.extensions. `known`: the Libraries seen."""
    if not questionnaires:
        return ["there is no Questionnaire"]
    urls = {each["url"] for each in known}
    stated = [each for form in questionnaires for each in form.get("extension", ()) if each["url"] in ROOT]
    wrong = [] if stated else ["no Questionnaire has any of the four extensions"]
    for each in stated:
        if each["url"] == LIBRARY and each.get("valueCanonical") not in urls:
            wrong.append(f"{each.get('valueCanonical')} is the url of no Library")
        language = each.get("valueExpression", {}).get("language", "text/cql")
        if language != "text/cql":
            wrong.append(f"{each['url']} is in {language}")
    return wrong


def expressions(questionnaires: Sequence[Json]) -> list[str]:
    """dtr.s.expressions, dtr.a.expressions, dtr.a.next.expressions."""
    found = [
        extension
        for form in questionnaires
        for item in _items(form.get("item", ()))
        for extension in item.get("extension", ())
        if extension["url"] in ITEM
    ]
    wrong = [] if found else ["no item has an expression"]
    languages = [each.get("valueExpression", {}).get("language") for each in found]
    return wrong + [f"an expression is in {language}" for language in languages if language != "text/cql"]


def _items(items: Sequence[Json]) -> Iterator[Json]:
    for item in items:
        yield item
        yield from _items(item.get("item", ()))


def bundles_valid(bundles: Sequence[Json], valid: Valid) -> list[str]:
    """dtr.a.bundles."""
    if not bundles:
        raise NothingToJudge("no Bundle was answered")
    return [words for each in bundles for words in valid(each, f"{DTR}/DTR-QPackageBundle")]


def shells_valid(questionnaires: Sequence[Json], valid: Valid) -> list[str]:
    """dtr.a.search."""
    if not questionnaires:
        raise NothingToJudge("no Questionnaire was answered")
    return [words for each in questionnaires for words in valid(each, f"{DTR}/dtr-questionnaire-adapt-search")]


def next_response(status: int, body: Any, valid: Valid) -> list[str]:
    """dtr.a.next.response."""
    if status not in (200, 202):
        return [f"status is {status}"]
    if not isinstance(body, dict) or body.get("resourceType") != "QuestionnaireResponse":
        return ["the body is no QuestionnaireResponse"]
    return valid(body, f"{SDC}/sdc-questionnaireresponse")


def complete(responses: Sequence[Json]) -> list[str]:
    """dtr.a.complete."""
    return [] if any(each.get("status") == "completed" for each in responses) else ["none is completed"]
