"""Why an answer came out so, and what would change it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.crd.counterfactual import WouldChange, what_would_change
from app.crd.determine import Decided
from app.crd.explanation import Explanation, explain
from app.crd.gather import Kept
from app.crd.scenarios import rehearse
from app.fhir import codings
from app.fhir.json import encode
from app.members import Member, MemberMatch
from app.rulebook.rulebook import Rulebook
from app.rulebook.scenarios import read_scenarios
from app.settings import ROOT
from tests.crd.builders import (
    AUTH,
    INSTRUCTIONS,
    NO_AUTH,
    bundle,
    case,
    concept,
    decide_all,
    drug,
    guidance,
    policy,
    row,
    rulebook,
    service,
)

PHARMACY = {"track": "pharmacy", "pa": "yes", "handoff": "rx"}
THREE = "%procedures.where(code.memberOf('list:therapy')).count() >= 3"
RULES = rulebook(
    rows=[
        row("late", match_system="HCPCS", match_code="J0001", band="1", effective_from="2027-01-01", track="none"),
        row("ended", match_system="HCPCS", match_code="J0001", band="1", effective_to="2021-01-01", track="none"),
        row("ma", match_system="HCPCS", match_code="J0001", band="1", lob="ma", track="none"),
        row("esrd", match_system="HCPCS", match_code="J0001", band="2", condition_flag="esrd", track="medical-bundled"),
        row(
            "home",
            match_system="HCPCS",
            match_code="J0001",
            band="3",
            site_pos="12",
            track="pharmacy",
            pa="yes",
            handoff="rx",
        ),
        row("iv", match_system="HCPCS", match_code="J0001", dx="list:back", age_min="18", track="medical", pa="yes"),
        row("weak", match_system="HCPCS", match_code="J0001", band="6", track="medical"),
    ],
    lists={"back": "ICD-10-CM,M54*,back", "therapy": "CPT,97110,therapy"},
    policies=[
        policy(
            "drug",
            ["HCPCS J0001"],
            case("young", "%facts.age < 12 and %patient.gender = 'male'", NO_AUTH),
            case("shown", "%conditions.exists(code.memberOf('list:back')) and %facts.quantity <= 4", NO_AUTH),
            AUTH,
            needs=["conditions"],
            track="medical",
        ),
        policy("old", ["HCPCS J0001"], AUTH, effective={"from": "2019-01-01", "to": "2021-01-01"}),
        policy("for-ma", ["HCPCS J0001"], AUTH, lines=["ma"]),
        policy("for-bare", ["HCPCS J0001"], AUTH, plans=["bare"]),
        policy(
            "mri",
            ["CPT 72148"],
            case("many", THREE, NO_AUTH),
            AUTH,
            needs=["procedures"],
        ),
    ],
    cards=[
        guidance("note", ["HCPCS J0001"], INSTRUCTIONS),
        guidance("men", ["HCPCS J0001"], INSTRUCTIONS, when="%patient.gender = 'male'"),
        guidance("unknown", ["HCPCS J0001"], INSTRUCTIONS, when="%facts.quantity > 3"),
        guidance("later", ["HCPCS J0001"], INSTRUCTIONS, hooks=["order-select"]),
        guidance("card-ma", ["HCPCS J0001"], INSTRUCTIONS, lines=["ma"]),
    ],
)
MEMBER = Member("1", "roster", line="commercial", plan="gold", birth_date="1970-01-01", flags={"esrd": False})
PATIENT: dict[str, Any] = {
    "patient": {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1970-01-01"}
}
REASON = {"reasonCode": [concept("ICD-10-CM M54.50")]}
PLACE = {"coding": [{"system": codings.PLACE_OF_SERVICE, "code": "11"}]}
PATIENT["others"] = bundle(
    {"resourceType": "Location", "id": "l", "type": [PLACE]},
    {"resourceType": "PractitionerRole", "id": "r", "location": [{"reference": "Location/l"}]},
)
AT_OFFICE = {"performer": {"reference": "PractitionerRole/r"}}


def decided(order: dict[str, Any] | None = None, member: Any = MEMBER, **rest: Any) -> Decided:
    rest = {"prefetch": PATIENT, **rest}
    (one,) = decide_all(order or drug("HCPCS J0001", **REASON), rules=RULES, member=member, **rest)
    return one


def explained(**rest: Any) -> Explanation:
    return explain(decided(**rest), RULES)


def test_every_row_and_why_it_lost() -> None:
    told = explained()
    assert {each.name: (each.verdict, each.why) for each in told.rows} == {
        "route:late": ("not in force", "it speaks from 2027-01-01 on, the service is on 2026-06-15"),
        "route:ended": ("not in force", "it ended before 2021-01-01"),
        "route:ma": ("refuted", "lob must be ma, it is commercial"),
        "route:esrd": ("refuted", "condition_flag must be esrd, it is false"),
        "route:home": ("open", "site_pos must be 12, it is not known"),
        "route:iv": ("decides", "all it asks for is so, but a row that may hold as well says otherwise"),
        "route:weak": ("outranked", "it holds too; iv ranks higher: band 4 before 6"),
    }
    assert (told.track, told.missing) == ("undetermined", ("site_pos",))
    assert {each.place.partition(":")[0] for each in told.rows} == {"benefit_routes.csv"}


def of(line: str, born: str | None = None) -> Member:
    return Member("1", "roster", line=line, birth_date=born)


@pytest.mark.parametrize(
    ("rest", "rule", "verdict", "why"),
    [
        ({"order": drug("HCPCS J0001")}, "iv", "open", "dx must be in list:back, it is not stated"),
        ({"order": drug("HCPCS J0001", reasonCode=[concept("ICD-10-CM C50")])}, "iv", "refuted", "it is ICD-10-CM C50"),
        (
            {"prefetch": {}, "member": of("commercial")},
            "iv",
            "open",
            "18 or older, it is not known",
        ),
        (
            {"member": of("ma", "2020-01-01")},
            "iv",
            "refuted",
            "age must be 18 or older, it is 6",
        ),
        ({"member": of("ma")}, "ma", "decides", "all it asks for is so"),
        ({"member": Member("1", "coverage")}, "ma", "open", "lob must be ma, it is not known"),
    ],
)
def test_what_a_row_asked_and_what_it_found(rest: dict[str, Any], rule: str, verdict: str, why: str) -> None:
    rest = {"prefetch": {}, **rest}
    (seen,) = [each for each in explained(**rest).rows if each.name == f"route:{rule}"]
    assert seen.verdict == verdict
    assert why in seen.why


def policies(*, not_to_be_done: bool = False, **rest: Any) -> dict[str, tuple[str, str]]:
    order = drug("HCPCS J0001", **REASON, **AT_OFFICE) | {"doNotPerform": not_to_be_done}
    return {
        each.name.removeprefix("policy:"): (each.verdict, each.why) for each in explained(order=order, **rest).policies
    }


def test_every_policy_and_why_it_does_not_apply() -> None:
    found = policies()
    assert found == {
        "drug": ("decides", "it names what is ordered, for this member and day"),
        "old": ("does not apply", "it ended before 2021-01-01"),
        "for-ma": ("does not apply", "it is for ma, the member's line is commercial"),
        "for-bare": ("does not apply", "it is for bare, the member's plan is gold"),
    }
    assert policies(member=MemberMatch("not-found"))["drug"] == ("does not apply", "there is no member to decide for")
    unknown = policies(
        member=Member("1", "coverage", line="commercial", birth_date="1970-01-01", flags={"esrd": False})
    )
    void = policies(not_to_be_done=True)
    assert set(void.values()) == {("does not apply", "the order asks for nothing")}
    assert (unknown["drug"][0], unknown["for-bare"][0]) == ("may decide", "may decide")
    bare = policies(
        member=Member("1", "roster", line="commercial", plan="bare", birth_date="1970-01-01", flags={"esrd": False})
    )
    assert bare["drug"] == ("does not apply", "for-bare is more specific")


def test_every_case_with_the_parts_of_its_condition() -> None:
    told = explained(
        order=drug("HCPCS J0001", **REASON, **AT_OFFICE), record={"conditions": Kept((), "the EHR is down")}
    )
    young, shown, otherwise = told.policies[0].cases
    assert (young.verdict, [(part.text, part.value) for part in young.parts]) == (
        "does not hold",
        [("%facts.age < 12", False)],
    )
    assert shown.verdict == "unknown"
    assert [(part.text, part.value) for part in shown.parts] == [
        ("%conditions.exists(code.memberOf('list:back'))", None),
        ("%facts.quantity <= 4", None),
    ]
    assert shown.lacking == ("the EHR is down", "the order gives no quantity")
    assert (otherwise.verdict, otherwise.parts) == ("holds", ())
    assert otherwise.place.startswith("policies/drug.yaml:")


def test_every_card_and_why_it_is_not_shown() -> None:
    assert {each.name: (each.shown, each.why) for each in explained().cards} == {
        "card:note": (True, "it is about this order, and what it asks for is so"),
        "card:men": (False, "its condition does not hold"),
        "card:unknown": (False, "its condition is unknown: the order gives no quantity"),
        "card:later": (False, "it is for other hooks, or not about every product that may be meant"),
        "card:card-ma": (False, "it is for ma, the member's line is commercial"),
    }


def test_facts_known_derived_and_missing() -> None:
    facts = {each.name: each for each in explained().facts}
    assert (facts["line"].status, facts["line"].value) == ("known", "commercial")
    assert (facts["diagnoses"].value, facts["flags"].value) == ("ICD-10-CM M54.50", "esrd: false")
    assert (facts["site"].status, facts["site"].value) == ("missing", None)
    assert facts["site"].words == "the order does not say where it will be given"


def test_an_order_that_is_no_drug_and_one_that_could_not_be_made_out() -> None:
    told = explained(order=service("CPT 72148"))
    assert (told.track, told.rows, [each.name for each in told.policies]) == (None, (), ["policy:mri"])
    one = decided()
    bare = Decided(one.order, one.determination)
    assert explain(bare, RULES).facts == ()
    assert what_would_change(bare, RULES) == WouldChange((), 0, complete=True)


def ways(told: WouldChange) -> dict[tuple[str | None, str | None], list[list[tuple[str, tuple[str, ...]]]]]:
    return {
        (other.track, other.answers[0].pa_needed): [[(c.fact, c.after) for c in way.changes] for way in other.ways]
        for other in told.others
    }


def test_single_changes_lead_to_other_answers() -> None:
    found = ways(what_would_change(decided(), RULES, most_changes=1))
    assert [("site", ("12",))] in found["pharmacy", "auth-needed"]
    assert [("flag esrd", ("true",))] in found["medical-bundled", "conditional"]
    assert [("service_date", ("2027-01-01",))] in found["none", None]
    assert [("plan", ("classic (ma)", "essential (ma)"))] in found["none", None]
    assert ("medical", "no-auth") not in found


def test_pairs_where_one_change_is_not_enough() -> None:
    order = drug("HCPCS J0001", **REASON, **AT_OFFICE)
    one = decided(order=order, record={"conditions": Kept(())})
    assert ("medical", "no-auth") not in ways(what_would_change(one, RULES, most_changes=1))
    found = ways(what_would_change(one, RULES))["medical", "no-auth"]
    assert [("quantity", ("3", "4")), ("record: conditions of list:back", ("ICD-10-CM M54* on 2026-06-14",))] in found


def test_a_count_is_reached_by_as_many_entries() -> None:
    one = decided(order=service("CPT 72148"), record={"procedures": Kept(())})
    found = ways(what_would_change(one, RULES, most_changes=1))[None, "no-auth"]
    assert found == [[("record: procedures of list:therapy", ("4 times CPT 97110 on 2026-06-14",))]]


def test_what_is_in_the_record_may_be_supposed_away() -> None:
    entry = {"resourceType": "Procedure", "id": "1", "status": "completed", "code": concept("CPT 97110")}
    one = decided(order=service("CPT 72148"), record={"procedures": Kept((entry,) * 3)})
    found = ways(what_would_change(one, RULES, most_changes=1))[None, "auth-needed"]
    assert [("record: procedures of list:therapy", ("none",))] in found
    unread = decided(order=service("CPT 72148"), record={"procedures": Kept((), "the EHR is down")})
    found = ways(what_would_change(unread, RULES, most_changes=1))[None, "auth-needed"]
    assert [("record: procedures", ("read, and empty",))] in found


def test_the_search_is_bounded_and_says_so() -> None:
    told = what_would_change(decided(), RULES, most_tried=3)
    assert (told.tried, told.complete) == (3, False)
    whole = what_would_change(decided(), RULES)
    assert whole.complete
    assert whole == what_would_change(decided(), RULES)


def test_the_sample_scenarios_explain_themselves(sample_rulebook: Rulebook) -> None:
    """Of every scenario: the deciding row and case are marked so, and all of it turns into JSON."""
    scenarios, _ = read_scenarios(ROOT / "rules" / "scenarios", sample_rulebook)
    for scenario in scenarios:
        for one in rehearse(scenario, sample_rulebook, Path(ROOT / "rules" / "members" / "roster.csv")).decide(
            sample_rulebook
        ):
            told = json.loads(encode(explain(one, sample_rulebook)))
            route, determination = one.determination.route, one.determination
            rows = [each["name"] for each in told["rows"] if each["verdict"] == "decides"]
            assert rows == ([f"route:{route.rule_id}"] if route and route.rule_id else [])
            held = [
                each["name"] for policy in told["policies"] for each in policy["cases"] if each["verdict"] == "holds"
            ]
            assert determination.case is None or held == [determination.case]
