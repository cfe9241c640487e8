"""What may be wrong with rules that load: every lint, in one list.

What stops a rulebook from loading (a wrong word, rows of equal rank that contradict each other, an author who approves)
is found while loading, in the service too. These take longer or only warn, so they run when someone checks.
"""

from __future__ import annotations

from app.rulebook.lints import asked, codes, currency, dates, outcome, overlap, reach
from app.rulebook.lints.lint import Lint, Subject
from benefit_router import Problem

__all__ = ["LINTS", "Lint", "Subject", "lint"]

LINTS: tuple[Lint, ...] = (
    Lint(
        "shadowed-row",
        "warning",
        "A row never decides, since a stronger one asks for no more than it does.",
        reach.shadowed_rows,
    ),
    Lint(
        "shadowed-policy",
        "warning",
        "A policy never speaks, since a more specific one is about all it is about.",
        reach.shadowed_policies,
    ),
    Lint(
        "unreachable-case",
        "error",
        "A case never answers, since one before it always holds or asks for no more.",
        reach.unreachable_cases,
    ),
    Lint(
        "impossible-condition",
        "error",
        "A `when` is false whatever the facts are.",
        reach.impossible_conditions,
    ),
    Lint(
        "impossible-columns",
        "error",
        "No order can meet the cells of a row together: route or form against the drug, plan against line.",
        reach.impossible_columns,
    ),
    Lint(
        "empty-list",
        "warning",
        "A list has no code.",
        reach.empty_lists,
    ),
    Lint(
        "overlap-in-band",
        "warning",
        "Two rows of one band and priority can hold for one order, neither is narrower, and they name "
        "different benefits.",
        overlap.overlapping_rows,
    ),
    Lint(
        "gap-between-versions",
        "warning",
        "Between two versions of a row or policy are days on which neither speaks.",
        dates.gaps,
    ),
    Lint(
        "overlap-between-versions",
        "warning",
        "Two versions of a row or policy speak on the same days.",
        dates.overlaps,
    ),
    Lint(
        "expired",
        "note",
        "A row, policy or card speaks only of days gone by.",
        dates.expired,
    ),
    Lint(
        "drug-not-in-catalog",
        "warning",
        "A row names an RxNorm or NDC code, or a class, that no product of the catalog has.",
        codes.drugs_not_in_catalog,
    ),
    Lint(
        "billing-of-another-drug",
        "warning",
        "A billing code is that of a drug the row is not about.",
        codes.billing_of_another_drug,
    ),
    Lint(
        "code-not-in-its-list",
        "warning",
        "A `when` asks the order for a code or list that is none of the codes its policy or card is about.",
        asked.codes_not_in_list,
    ),
    Lint(
        "medical-without-hcpcs",
        "warning",
        "A medical row names a drug that has no HCPCS, CPT or CVX code.",
        codes.medical_without_hcpcs,
    ),
    Lint(
        "pharmacy-without-product",
        "note",
        "A pharmacy row names a drug that has no RxNorm or NDC code.",
        codes.pharmacy_without_product,
    ),
    Lint(
        "not-derivable",
        "warning",
        "A row goes by an inferred route or form that cannot be inferred.",
        codes.underivable,
    ),
    Lint(
        "expired-code",
        "warning",
        "A code is not valid on the next day its rule speaks, and no other is there in its place.",
        currency.expired_codes,
    ),
    Lint(
        "code-not-all-days",
        "note",
        "A code is not valid on all days of its rule, or no longer is beside others that are.",
        currency.codes_not_all_days,
    ),
    Lint(
        "list-changed",
        "warning",
        "A list is not as it was taken from its ValueSet.",
        currency.changed_lists,
    ),
    Lint(
        "list-drifted",
        "warning",
        "A list lacks codes of the expansion given for its ValueSet, or has others.",
        currency.drifted_lists,
    ),
    Lint(
        "authorization-without-way",
        "note",
        "Authorization is needed, and no form, documents, contact or handoff says how to get it.",
        outcome.authorization_without_way,
    ),
    Lint(
        "medicare-flag-on-any-line",
        "warning",
        "A flag that only Medicare gives stands on a row for other lines.",
        outcome.medicare_flag_on_any_line,
    ),
    Lint(
        "thin-provenance",
        "warning",
        "A row has no section of its source, or no day of approval.",
        outcome.thin_provenance,
    ),
    Lint(
        "row-without-scenario",
        "warning",
        "A row names no scenario, or one that is not there.",
        outcome.without_scenario,
    ),
    Lint(
        "row-without-near-miss",
        "warning",
        "A row names one scenario only.",
        outcome.without_near_miss,
    ),
    Lint(
        "case-without-scenario",
        "warning",
        "A case decides no scenario.",
        outcome.cases_without_scenario,
    ),
    Lint(
        "policy-without-near-miss",
        "warning",
        "All scenarios of a policy get the same one of its cases.",
        outcome.policies_without_near_miss,
    ),
    Lint(
        "unused-list",
        "warning",
        "Nothing names a list.",
        outcome.unused_lists,
    ),
    Lint(
        "unused-form",
        "note",
        "No row, policy or card asks for a form.",
        outcome.unused_forms,
    ),
)


def lint(subject: Subject) -> list[Problem]:
    """Everything the lints find, by file and line."""
    found = [problem for each in LINTS for problem in each.problems(subject)]
    return sorted(found, key=lambda problem: (problem.file, problem.line or 0, problem.lint or ""))
