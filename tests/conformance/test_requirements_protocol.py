"""Requirements on discovery, prefetch, data and errors that no test elsewhere shows."""

from __future__ import annotations

import copy
import json
import re
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.crd.gather import RECORD_TYPES
from app.hooks.request import HOOKS
from tests.conformance.requirements import requirement
from tests.ehr_actions import Answer, EhrActions, example, order_of, with_orders
from tests.fhir import ehr_server
from tests.fhir.ehr_server import EhrServer
from tests.web.test_ehr_reads import fhir  # noqa: F401  # a fixture
from tests.web.test_order_sign import FIVE
from tests.web.test_other_hooks import appointment, booking, bundle, dispatch, encounter, fire

Resource = dict[str, Any]
NAMES = ("mri", "infusion", "self-injected")
CRD_2_2 = "davinci-crd-2.2.0-preview.tgz"
PASSING = {"coverage-assertion-id", "date", "expiry-date"}


def told(answered: Answer) -> list[dict[str, Any]]:
    """What an answer says of each order, without what differs from call to call."""
    assert answered.status == 200, answered.json
    return [
        {part: values for part, values in answered.parts(order).items() if part not in PASSING}
        for order in range(len(answered.repetitions))
    ]


def selected(request: Resource) -> Resource:
    changed = copy.deepcopy(request) | {"hook": "order-select"}
    drafts = [entry["resource"] for entry in request["context"]["draftOrders"]["entry"]]
    changed["context"]["selections"] = [f"{order['resourceType']}/{order['id']}" for order in drafts]
    return changed


def of_each_hook() -> dict[str, Resource]:
    """A request for each hook, with everything it needs in prefetch."""
    mri = example("mri")
    return {
        "order-sign": mri,
        "order-select": selected(mri),
        "order-dispatch": dispatch(mri, "PractitionerRole/dr1"),
        "appointment-book": booking(appointment(basedOn=[{"reference": "ServiceRequest/sr1"}])),
        "encounter-start": encounter("encounter-start"),
        "encounter-discharge": encounter("encounter-discharge"),
    }


@requirement("found-2", "hook-4")
@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_offered_and_answered(ehr: EhrActions, hook: str) -> None:
    assert hook in [service["hook"] for service in ehr.discover()["services"]]
    answered = fire(ehr, of_each_hook()[hook])
    assert answered.status == 200
    assert "cards" in answered.json


@requirement("hook-4")
@pytest.mark.parametrize("order", FIVE, ids=lambda order: str(order["resourceType"]))
@pytest.mark.parametrize("hook", ["order-sign", "order-select", "order-dispatch"])
def test_every_type_of_order_is_answered(ehr: EhrActions, hook: str, order: Resource) -> None:
    request = with_orders(example("mri"), order)
    if hook == "order-select":
        request = selected(request)
    elif hook == "order-dispatch":
        request = dispatch(request, "PractitionerRole/dr1")
    answered = fire(ehr, request)
    assert answered.status == 200
    (action,) = answered.json["systemActions"]
    assert action["resource"]["resourceType"] == order["resourceType"]
    assert answered.parts()["covered"]


@requirement("dev-1", "dev-2")
def test_every_version_declared_is_spoken_and_no_other(ehr: EhrActions) -> None:
    """Each declared version has an answer of its own; a version nobody declared gets the default one."""
    declared = {
        version for service in ehr.discover()["services"] for version in service["extension"]["davinci-crd.version"]
    }

    def topic_system(version: str) -> str:
        request = example("infusion")
        request["extension"]["davinci-crd.requestedVersion"] = version
        (card,) = ehr.sign(request).json["cards"]
        system: str = card["source"]["topic"]["system"]
        return system

    assert len({topic_system(version) for version in declared}) == len(declared) == 2
    assert topic_system("1.0") in {topic_system(version) for version in declared}


@requirement("dev-4", "dev-8")
def test_options_are_complete_and_distinct(ehr: EhrActions) -> None:
    for service in ehr.discover()["services"]:
        options = service["extension"]["davinci-crd.configuration-options"]
        for member in ("code", "name", "description"):
            assert len({option[member] for option in options}) == len(options)
        for option in options:
            assert type(option["default"]) is {"boolean": bool, "integer": int}[option["type"]]
            assert re.fullmatch(r"[a-z][a-z-]*", option["code"])


@requirement("dev-9")
def test_an_option_is_the_same_in_every_service(ehr: EhrActions) -> None:
    by_code: dict[str, list[Resource]] = {}
    for service in ehr.discover()["services"]:
        for option in service["extension"]["davinci-crd.configuration-options"]:
            by_code.setdefault(option["code"], []).append(option)
    assert all(options == [options[0]] * len(HOOKS) for options in by_code.values())


@requirement("found-15")
@pytest.mark.parametrize(
    ("member", "born", "line"),
    [("M100006", "1980-05-01", "commercial"), ("M100001", "1958-03-14", "ma"), ("M100011", "1988-10-25", "medicaid")],
)
def test_one_endpoint_for_all_coverages(app: Flask, ehr: EhrActions, member: str, born: str, line: str) -> None:
    hooks = [service["hook"] for service in ehr.discover()["services"]]
    assert len(hooks) == len(set(hooks))
    request = example("mri")
    coverage = request["prefetch"]["coverage"]["entry"][0]["resource"]
    coverage["subscriberId"] = coverage["identifier"][0]["value"] = member
    request["prefetch"]["patient"]["birthDate"] = born
    (assertion,) = ehr.sign(request).parts()["coverage-assertion-id"]
    facts = json.loads(app.extensions["ledger"].assertion(assertion).facts)
    assert line in json.dumps(facts)


@requirement("found-32")
@pytest.mark.parametrize("name", NAMES)
def test_thin_records_are_never_a_failed_precondition(ehr: EhrActions, name: str) -> None:
    """Everything was prefetched; each resource in turn says nothing but who it is, or was looked for and not found."""
    for key in example(name)["prefetch"]:
        thin, gone = example(name), example(name)
        for resource in _resources(thin["prefetch"][key]):
            for element in set(resource) - {"resourceType", "id"}:
                del resource[element]
        gone["prefetch"][key] = bundle()
        assert ehr.sign(thin).status != 412
        assert ehr.sign(gone).status != 412


@requirement("found-32")
@pytest.mark.parametrize("name", NAMES)
def test_what_the_ehr_does_not_have_is_never_a_failed_precondition(
    ehr: EhrActions,
    fhir: EhrServer,  # noqa: F811
    name: str,
) -> None:
    """Nothing was prefetched; everything could be read, and there was nothing."""
    request = example(name)
    for kind in ("Coverage", *RECORD_TYPES.values()):
        fhir.on[f"/{kind}"] = ehr_server.answer(bundle())
    del request["prefetch"]
    request["fhirServer"], request["fhirAuthorization"] = fhir.base, {"access_token": "t"}
    assert ehr.sign(request).status == 400  # hook-13: there is no Coverage
    assert any(path.startswith("/Coverage") for path in fhir.asked)
    request["prefetch"] = {"coverage": example(name)["prefetch"]["coverage"]}
    assert ehr.sign(request).status == 200


def _resources(prefetched: Resource | None) -> list[Resource]:
    if prefetched is None:
        return []
    return [entry["resource"] for entry in prefetched["entry"]] if "entry" in prefetched else [prefetched]


@requirement("found-33", "hook-23")
@pytest.mark.parametrize("name", NAMES)
def test_what_is_unexpected_changes_nothing(ehr: EhrActions, name: str) -> None:
    request = example(name)

    def strew(value: Any) -> Any:
        if isinstance(value, list):
            return [strew(each) for each in value]
        if not isinstance(value, dict):
            return value
        return {k: strew(v) for k, v in value.items()} | {"unheardOf": {"of": [1, {}]}, "_unheardOf": None}

    strewn = strew(request)
    for name in ("unheardOf", "_unheardOf"):
        del strewn["prefetch"][name]  # a key that holds a resource, by CDS Hooks
    # What the client asks for by name stays; the rest of the answer must not change.
    strewn["extension"] = request["extension"]
    assert told(ehr.sign(strewn)) == told(ehr.sign(request))


@requirement("conf-12")
@pytest.mark.parametrize("hook", HOOKS)
def test_the_least_a_call_may_say_is_answered(ehr: EhrActions, hook: str) -> None:
    """Orders of nothing but what R4 makes mandatory, and no prefetch beside the coverage."""
    request = of_each_hook()[hook]
    least = {k: order_of(example("mri"))[k] for k in ("resourceType", "id", "status", "intent", "subject")}
    if "draftOrders" in request["context"]:
        request = with_orders(request, least)
    request["context"].pop("encounterId", None) if not hook.startswith("encounter") else None
    request["prefetch"] = {"coverage": request["prefetch"]["coverage"], "orders": bundle(least)}
    request.pop("extension", None)
    assert fire(ehr, request).status == 200


@requirement("conf-7", "hook-22")
def test_only_resources_with_a_profile_are_asked_for(ehr: EhrActions, ig: Path) -> None:
    with tarfile.open(_package(ig, CRD_2_2)) as archive:
        profiled = {re.search(r"StructureDefinition-profile-([a-z]+)", name) for name in archive.getnames()}
    names = {match[1] for match in profiled if match} | {"practitionerrole"}  # US Core's, by way of the order profiles
    asked = {
        re.split(r"[/?]", query)[0].lower()
        for service in ehr.discover()["services"]
        for query in service["prefetch"].values()
    }
    assert asked <= names


@requirement("found-27")
def test_the_record_is_not_asked_for_in_prefetch(ehr: EhrActions) -> None:
    """Only some orders need it; it is read for those."""
    for service in ehr.discover()["services"]:
        asked = {re.split(r"[/?]", query)[0] for query in service["prefetch"].values()}
        assert {"Patient", "Coverage"} <= asked
        of_the_record = set(RECORD_TYPES.values())
        if service["hook"] in ("order-dispatch", "appointment-book"):
            of_the_record -= {"MedicationRequest"}  # what is dispatched or booked
        assert not asked & of_the_record


@requirement("conf-7", "hook-22")
@pytest.mark.parametrize("name", NAMES)
def test_coverage_information_needs_the_coverage_alone(ehr: EhrActions, name: str) -> None:
    request = example(name)
    request["prefetch"] = {"coverage": request["prefetch"]["coverage"]}
    answered = ehr.sign(request)
    assert answered.status == 200
    assert answered.parts()["covered"]


@cache
def _kept(package: Path, profile: str) -> frozenset[str]:
    """Paths of a profile that are mandatory or must-support, below the resource."""
    with tarfile.open(package) as archive:
        member = archive.extractfile(f"package/StructureDefinition-profile-{profile}.json")
        assert member is not None
        elements = json.loads(member.read())["snapshot"]["element"]
    return frozenset(
        re.sub(r":[^.]+", "", each["id"]).partition(".")[2]
        for each in elements
        if each.get("mustSupport") or each["min"] > 0
    )


def _stripped(resource: Resource, kept: frozenset[str]) -> Resource:
    """The resource with its kept elements; below them everything is a data type, whole."""

    def is_kept(name: str) -> bool:
        choices = [path.removesuffix("[x]") for path in kept if path.endswith("[x]")]
        return name in kept or any(name.startswith(choice) for choice in choices)

    return {k: v for k, v in resource.items() if k in ("resourceType", "id") or is_kept(k)}


@requirement("conf-8", "hook-22")
@pytest.mark.parametrize("name", NAMES)
def test_optional_elements_that_are_not_must_support_are_not_needed(ehr: EhrActions, ig: Path, name: str) -> None:
    request = example(name)
    order = order_of(request)
    kept = _kept(_package(ig, CRD_2_2), order["resourceType"].lower())
    assert "subject" in kept
    assert "note" not in kept
    answered = ehr.sign(with_orders(request, _stripped(order, kept)))
    assert answered.status == 200
    assert answered.parts()["covered"] == ["covered"]
    # Not must-support: without it the answer may be less certain, but is an answer.
    dosage = [{k: v for k, v in each.items() if k != "route"} for each in order.get("dosageInstruction", ())]
    assert ehr.sign(with_orders(request, {**order, "dosageInstruction": dosage})).parts()["covered"]


US_CORE = ("us-core-3.1.1.tgz", "us-core-6.1.0.tgz", "us-core-7.0.0.tgz")
PERSONS = ("Practitioner", "PractitionerRole", "Organization", "Location", "Encounter")
RECORD = ("Condition", "Observation", "Procedure")


@requirement("conf-2")
@pytest.mark.parametrize("version", US_CORE)
@pytest.mark.parametrize("name", NAMES)
def test_records_of_every_us_core(ehr: EhrActions, ig: Path, name: str, version: str) -> None:
    """The examples of a US Core version, as the patient and beside the patient's record."""
    request, plain = example(name), told(ehr.sign(example(name)))
    examples = _examples(_package(ig, version))
    patient = next(each for each in examples if each["resourceType"] == "Patient")
    request["prefetch"]["patient"] = {**patient, **request["prefetch"]["patient"]}
    beside = [
        {**each, "id": f"us-core-{position}", **({"subject": {"reference": "Patient/p1"}} if "subject" in each else {})}
        for position, each in enumerate(examples)
    ]
    request["prefetch"]["persons"] = bundle(*(each for each in beside if each["resourceType"] in PERSONS))
    assert told(ehr.sign(request)) == plain
    # Diagnoses in codes that the rules do not speak may make an answer less certain, and never promise more.
    record = [each for each in beside if each["resourceType"] in RECORD]
    assert {each["resourceType"] for each in record} >= {"Condition", "Observation"}
    request["prefetch"]["record"] = bundle(*record)
    (answered,) = told(ehr.sign(request))
    assert answered["covered"] == plain[0]["covered"]
    assert answered["pa-needed"][0] in ("conditional", *plain[0]["pa-needed"])


@cache
def _examples(package: Path) -> tuple[Resource, ...]:
    """The examples by name. Unpacked as they come: going back and forth unpacks the archive anew each time."""
    with tarfile.open(package) as archive:
        found = {
            member.name: json.loads(file.read())
            for member in archive
            if re.fullmatch(r"package/example/[A-Z][A-Za-z]+-.*\.json", member.name)
            and (file := archive.extractfile(member)) is not None
        }
    return tuple(found[name] for name in sorted(found))


def _package(ig: Path, name: str) -> Path:
    if not (ig / name).is_file():
        pytest.skip(f"{name} is not in {ig}; set SIGNPOST_IG_DIR")
    return ig / name


@requirement("found-40")
def test_no_whitespace_is_sent_that_means_nothing(app: Flask) -> None:
    """But inside the orders, which go back as they came (resp-37)."""
    client = app.test_client()
    sent = json.dumps(example("infusion"), separators=(",", ":"))
    for data in (
        client.post("/cds-services/order-sign-crd", data=sent).data,
        client.get("/cds-services").data,
    ):
        assert len(data) == len(json.dumps(json.loads(data), separators=(",", ":"), ensure_ascii=False).encode())
