"""The smallest rulebook that has one of everything, and edits of it."""

from __future__ import annotations

import json
from pathlib import Path

from app.rulebook.rulebook import Loaded, Rulebook, build
from benefit_router import COLUMNS, Problem

FORM = {
    "resourceType": "Questionnaire",
    "url": "http://payer.example.org/Questionnaire/form",
    "version": "1",
    "status": "active",
}

FILES = {
    "payer.yaml": """\
payer: Sample Health
identifiers: [{system: "urn:oid:1.2", value: "99999"}]
lines: {ma: {name: Medicare Advantage}, commercial: {name: Commercial}}
plans:
  gold: {name: Gold, line: commercial, pharmacy: rx}
coverage_types:
  - {code: PPO, line: commercial}
  - {code: "1*", line: ma}
pharmacy:
  rx: {name: Sample Rx, phone: "1-555-010-0100", epa_standard: NCPDP SCRIPT, epa_versions: ["2017071"], relation: other}
contacts: {desk: {name: Desk, phone: "1-555-010-0101"}}
clocks: {items: {standard: 7 d, expedited: 72 h, authority: "42 CFR 422.568", status: in-force}}
flags: {esrd: on dialysis}
assertions: {valid_days: 60}
""",
    "benefit_routes.csv": ",".join(column.name for column in COLUMNS) + "\n",
    "lists/drug.csv": "# A drug.\nsystem,code,display\nHCPCS,J1745,a drug\nRxNorm,191831,a drug\n",
    "lists/disease.csv": "system,code,display\nICD-10-CM,K50*,a disease\nSNOMED,34000006,a disease\n",
    "crosswalks/routes.csv": "route,system,code\nintravenous,SNOMED,47625008\noral,SNOMED,26643006\n",
    "crosswalks/dose_forms.csv": (
        "dose_form,routes,system,code\ntablet,oral,SNOMED,385055001\nvial,intravenous; intramuscular,,\n"
    ),
    "crosswalks/billing.csv": (
        "system,code,billing_system,billing_code\nSNOMED,726551006,CPT,77065\nSNOMED,726551006,CPT,77066\n"
    ),
    "crosswalks/drugs.csv": (
        "product,name,ingredient_rxnorm,rxnorm,ndc,hcpcs,cpt,cvx,dose_form,routes,classes\n"
        "drug,a drug,191831,213361,57894-030-01,J1745,,,vial,,biologic; infused\n"
        "pill,a pill,6851,,,,,,tablet,,\n"
    ),
    "policies/drug.yaml": """\
policy: drug
title: A drug
source: {url: "https://example.org/policies/drug", section: "2", retrieved: 2026-11-01}
effective: {from: 2026-01-01}
approved: {author: a.author, approver: b.approver, on: 2026-11-02}
lines: [commercial]
applies_to: {track: medical, codes: list:drug}
needs: [conditions]
cases:
  - case: disease
    when: "%conditions.exists(code.memberOf('list:disease'))"
    answer: {covered: covered, pa: no-auth, reason: Meets 2.1}
  - case: otherwise
    answer:
      covered: covered
      pa: auth-needed
      docs: clinical
      purpose: withpa
      questionnaire: form
      contact: desk
      reason: Criterion 2.1 is not shown
""",
    "guidance/card.yaml": """\
guidance: card
title: A card
source: {url: "https://example.org/guidance", retrieved: 2026-11-01}
effective: {from: 2026-01-01, to: 2027-01-01}
approved: {author: a.author, approver: b.approver, on: 2026-11-02}
applies_to: {codes: [HCPCS J1745]}
card:
  response: instructions
  topic: guideline
  indicator: info
  summary: Do this.
  detail: This is why.
""",
    "questionnaires/form/questionnaire.json": json.dumps(FORM),
}


def edited(path: str, old: str, new: str) -> dict[str, str]:
    """The small rulebook with one text in one file changed; the text has to be there."""
    assert old in FILES[path], f"{path} does not hold {old!r}"
    return FILES | {path: FILES[path].replace(old, new, 1)}


def built(files: dict[str, str]) -> Rulebook:
    """The rulebook of texts that have nothing wrong with them."""
    loaded: Loaded = build(files)
    assert loaded.rulebook is not None, [str(problem) for problem in loaded.problems]
    return loaded.rulebook


def wrong(files: dict[str, str]) -> list[Problem]:
    """What is wrong with texts that must not go live."""
    loaded = build(files)
    assert loaded.rulebook is None
    assert loaded.errors
    return list(loaded.errors)


def write(files: dict[str, str], folder: Path) -> tuple[Path, Path]:
    """The texts on disk: the folders of rules and of questionnaires."""
    rules, forms = folder / "rules", folder / "questionnaires"
    for path, text in files.items():
        target = forms / path.removeprefix("questionnaires/") if path.startswith("questionnaires/") else rules / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return rules, forms
