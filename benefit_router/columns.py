"""The columns of the routing table, in one place: how each cell is read, and what it means.

The same list reads the CSV, writes the documentation and gives editors their completion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["slug", "text", "word", "words", "integer", "date", "codes", "code", "flags", "url", "yes-no"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `weight` is what constraining it adds to a row's specificity; 0 means it does not constrain.

    `words` are the only values allowed when it is a closed list; `vocabulary` names a list that the rulebook supplies.
    A `required` column stands in the header and its cells are filled, unless `blank_ok`. `digits` is the length of a
    number that may begin with zeros, which spreadsheets drop.
    """

    name: str
    kind: Kind
    meaning: str
    example: str
    required: bool = False
    words: tuple[str, ...] = ()
    vocabulary: str = ""
    weight: int = 0
    blank_ok: bool = False
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file, or several of one make (`lists/*.csv`). `closed`: other columns than these are refused."""

    name: str
    file: str
    meaning: str
    columns: tuple[Column, ...]
    closed: bool = False


STATUSES = ("draft", "review", "approved", "retired")
MATCH_LEVELS = (
    "ingredient",
    "scdf",
    "scd",
    "sbd",
    "ndc9",
    "ndc11",
    "hcpcs",
    "cpt",
    "cvx",
    "class",
    "list",
    "any",
)
# Specificity of the code match, by level: an exact package says more than a molecule.
LEVEL_WEIGHTS = {
    "ndc11": 64, "ndc9": 64, "sbd": 32, "scd": 32, "hcpcs": 24, "cpt": 24, "cvx": 24, "ingredient": 16, "scdf": 16,
    "list": 12, "class": 12, "any": 0,
}  # fmt: skip
SUPPLY_CHANNELS = ("buy-bill", "white", "brown", "clear", "retail", "specialty", "home-infusion")
INFO_CODES = ("performer", "location", "timeframe", "contract-window", "detail-code", "OTH")
ENCOUNTER_CLASSES = (
    "AMB",
    "EMER",
    "FLD",
    "HH",
    "IMP",
    "ACUTE",
    "NONAC",
    "OBSENC",
    "PRENC",
    "SS",
    "VR",
    "none",
)

COLUMNS: tuple[Column, ...] = (
    Column("rule_id", "slug", "Unique name of the row. Never reuse one: past answers name it.", "rituximab-commercial", required=True),
    Column("title", "text", "What the row says, in one line.", "Rituximab infusion is a medical benefit", required=True),
    Column("status", "word", "Only `approved` rows go live.", "approved", required=True, words=STATUSES),
    Column("band", "integer", "Precedence, 0 strongest to 7 weakest: 1 statute, 2 plan carve-out, 3 exact product, 4 product family with route, site or channel, 5 class or list, 6 default by form or route, 7 fallback.", "4", required=True),
    Column("priority", "integer", "Tie-break inside a band and specificity; the higher number wins. Blank is 0.", "10"),
    Column("effective_from", "date", "First day the row speaks, judged at the service date.", "2026-01-01", required=True),
    Column("effective_to", "date", "First day it no longer speaks (half-open). Blank: open end.", "2027-01-01"),
    Column("lob", "words", "Lines of business the row is for.", "ma; mapd", vocabulary="lob", weight=4),
    Column("state", "words", "Member's state, two letters.", "CA", weight=4),
    Column("plan_id", "words", "Plans the row is for.", "gold-ppo", vocabulary="plan", weight=16),
    Column("group_id", "words", "Employer groups the row is for.", "ACME-01", weight=16),
    Column("bin", "words", "Processor BIN on the member's pharmacy card.", "610000", weight=4, digits=6),
    Column("pcn", "words", "Processor control number on the pharmacy card.", "MEDD", weight=4),
    Column("match_system", "word", "Code system of `match_code`.", "HCPCS", words=("RxNorm", "NDC", "HCPCS", "CPT", "CVX")),
    Column("match_code", "codes", "A code, several separated by `;`, `list:name`, or `*` for any drug the payer knows. Blank: any order.", "J9312"),
    Column("match_level", "word", "What the code names; sets how specific the row is. Blank: taken from the system.", "ingredient", words=MATCH_LEVELS),
    Column("drug_class", "words", "Class tags of the drug catalog.", "oral-oncolytic", weight=8),
    Column("route", "words", "Route of administration.", "intravenous", vocabulary="route", weight=8),
    Column("dose_form", "words", "Dose form of the product.", "prefilled syringe", vocabulary="dose_form", weight=8),
    Column("derived_ok", "yes-no", "Whether a route, form or channel that was inferred may satisfy the row. Blank: no.", "yes", words=("yes", "no")),
    Column("site_pos", "words", "CMS place-of-service codes.", "11; 22", weight=8, digits=2),
    Column("enc_class", "words", "Encounter class; `none` when the order has no encounter.", "IMP", words=ENCOUNTER_CLASSES, weight=8),
    Column("supply_channel", "words", "Who buys and brings the drug.", "buy-bill", words=SUPPLY_CHANNELS, weight=8),
    Column("performer_type", "words", "NUCC taxonomy of who gives or dispenses it.", "3336S0011X", weight=8),
    Column("network", "words", "Whether the performer is in network.", "in", words=("in", "out"), weight=8),
    Column("dx", "codes", "ICD-10-CM codes the order gives as its reason; `D80*` is a prefix, `list:name` a list.", "list:pidd", weight=8),
    Column("condition_flag", "flags", "Flags of the payer's member file; `!` in front means the flag must be false.", "transplant-medicare", vocabulary="flag", weight=8),
    Column("age_min", "integer", "Youngest age in years.", "65", weight=2),
    Column("age_max", "integer", "Oldest age in years.", "17", weight=2),
    Column("sex", "words", "Administrative gender of the patient.", "female", words=("male", "female", "other"), weight=2),
    Column("phase", "words", "Phase of the therapy.", "induction", words=("induction", "maintenance"), weight=8),
    Column("requires_signals", "words", "Columns that must be stated, not inferred, before the row may speak.", "route"),
    Column("track", "word", "The benefit: medical, pharmacy, medical-bundled, none (neither pays), undetermined (cannot be told).", "medical", required=True, words=("medical", "pharmacy", "medical-bundled", "none", "undetermined")),
    Column("billing_codes", "codes", "Codes the claim would carry.", "HCPCS J9312"),
    Column("modifiers", "words", "HCPCS modifiers the claim carries with the billing codes.", "JA"),
    Column("administration_codes", "codes", "Codes of the administration when it is paid apart from the drug (white bagging).", "CPT 96413"),
    Column("pa", "word", "Authorization when no policy speaks: yes, no, conditional, performer (the performing provider starts it). Blank: the policy decides.", "yes", words=("yes", "no", "conditional", "performer")),
    Column("questionnaire", "slug", "Form to complete, by folder name under questionnaires/.", "infliximab", vocabulary="questionnaire"),
    Column("doc_purpose", "word", "What the documents are for.", "withpa", words=("withpa", "withclaim", "withorder", "retain-doc")),
    Column("clock_profile", "slug", "Which decision clock applies to an authorization. An answer that may need one says its times.", "partb", vocabulary="clock"),
    Column("info_needed", "words", "What is missing, for an undetermined or conditional row.", "detail-code", words=INFO_CODES),
    Column("handoff", "slug", "Pharmacy road: the PBM profile of payer.yaml.", "sample-pbm", vocabulary="handoff"),
    Column("explanation_text", "text", "Why, for the clinician. Becomes the answer's reason.", "Given by infusion, so billed to the medical benefit."),
    Column("patient_text", "text", "What the patient may be told of the benefit, in plain words.", "Your doctor's office bills this drug."),
    Column("confidence", "word", "`presumptive` when the row is a presumption. Blank: determined.", "presumptive", words=("determined", "presumptive")),
    Column("source_url", "url", "Where the rule comes from.", "https://example.org/policies/rituximab", required=True),
    Column("source_section", "text", "Section of the source.", "42 CFR 410.29", ),
    Column("retrieved", "date", "When the source was read.", "2026-11-01", required=True),
    Column("licence_note", "text", "Terms of the source, or that the row is an illustration.", "illustration, not policy", required=True),
    Column("author", "text", "Who wrote the row.", "a.author", required=True),
    Column("approver", "text", "Who approved it; never the author.", "b.approver", required=True),
    Column("approved_at", "date", "When it was approved.", "2026-11-02"),
    Column("change_ticket", "text", "Change record.", "CHG-12"),
    Column("test_refs", "words", "Scenarios that hold the row to its word.", "T01; T01-near"),
)  # fmt: skip

BY_NAME = {column.name: column for column in COLUMNS}

ROUTING_TABLE = Table(
    "benefit_routes", "benefit_routes.csv", "Which benefit pays for a drug, one rule a row.", COLUMNS, closed=True
)
