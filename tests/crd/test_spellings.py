"""One drug, spelled in every way an EHR may spell it: the decision does not turn on the spelling. Found by search."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from app.rulebook.rulebook import Rulebook
from benefit_router import RouteDecision
from tests.crd.builders import HCPCS, NDC, decide_one, drug, row, rulebook

SEARCH = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
TRACKS = st.sampled_from(("medical", "pharmacy", "medical-bundled", "none", None))
# Ten digits, and the three packages they may mean: the labeler, the product or the package lacks its zero.
DIGITS = "1234567890"
PACKAGES = ("01234-5678-90", "12345-0678-90", "12345-6789-00")
Tracks = tuple[str | None, ...]


@cache
def rules_for(tracks: Tracks, default: str | None) -> Rulebook:
    """A row for each package that has a track, and a weak one for any order."""
    cells = [
        (f"package-{number}", {"match_system": "NDC", "match_code": package.replace("-", ""), "track": track})
        for number, (package, track) in enumerate(zip(PACKAGES, tracks, strict=True))
        if track is not None
    ]
    if default is not None:
        cells.append(("any", {"band": "6", "track": default}))
    named = [(rule_id, each | ({"handoff": "rx"} if each["track"] == "pharmacy" else {})) for rule_id, each in cells]
    products = "".join(f"p{number},Product {number},,,{package},,vial\n" for number, package in enumerate(PACKAGES))
    return rulebook(rows=[row(rule_id, **each) for rule_id, each in named], drugs=products)


def decision(rules: Rulebook, *codings: dict[str, str]) -> RouteDecision:
    order: dict[str, Any] = drug() | {"medicationCodeableConcept": {"coding": list(codings)}}
    route = decide_one(order, rules=rules).route
    assert route is not None
    return route


def spellings(package: str) -> list[str]:
    """The 11 digits, with and without dashes, and what is left of them when a leading zero is dropped in one part."""
    parts = package.split("-")
    found = [package, "".join(parts)]
    for number, part in enumerate(parts):
        if part.startswith("0"):
            found.append("-".join([*parts[:number], part[1:], *parts[number + 1 :]]))
    return found


@SEARCH
@given(st.tuples(TRACKS, TRACKS, TRACKS), TRACKS, st.sampled_from(PACKAGES))
def test_an_ndc_decides_alike_however_it_is_written(tracks: Tracks, default: str | None, package: str) -> None:
    rules = rules_for(tracks, default)
    written = spellings(package)
    assert len(written) == 3
    first, *others = (decision(rules, {"system": NDC, "code": text}) for text in written)
    assert all(other == first for other in others)


@SEARCH
@given(st.tuples(TRACKS, TRACKS, TRACKS), TRACKS)
def test_ten_digits_that_may_mean_several_packages_never_name_another_track(
    tracks: Tracks, default: str | None
) -> None:
    rules = rules_for(tracks, default)
    unclear = decision(rules, {"system": NDC, "code": DIGITS})
    event(unclear.track)
    for package in PACKAGES:
        assert unclear.track in (decision(rules, {"system": NDC, "code": package}).track, "undetermined")


@SEARCH
@given(
    st.sampled_from(("medical", "pharmacy", "none")),
    st.sampled_from(("http://", "https://", "HTTP://")),
    st.sampled_from(("www.cms.gov", "cms.gov")),
    st.sampled_from(("", "/", " ")),
    st.sampled_from(("J1745", "j1745", " J1745")),
)
def test_hcpcs_decides_alike_under_every_address_it_goes_by(
    track: str, scheme: str, host: str, end: str, code: str
) -> None:
    rules = hcpcs_rules(track)
    written = {"system": f"{scheme}{host}/Medicare/Coding/HCPCSReleaseCodeSets{end}", "code": code}
    plain = decision(rules, {"system": HCPCS, "code": "J1745"})
    assert plain.rule_id == "r"
    assert decision(rules, written) == plain
    assert decision(rules, written, {"system": HCPCS, "code": "J1745"}) == plain


@cache
def hcpcs_rules(track: str) -> Rulebook:
    handoff = {"handoff": "rx"} if track == "pharmacy" else {}
    return rulebook(rows=[row("r", match_system="HCPCS", match_code="J1745", track=track, **handoff)])
