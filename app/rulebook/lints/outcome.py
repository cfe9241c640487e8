"""What a rule decides and on whose word: the next step, the members it is for, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator

from app.rulebook.lints.lint import Found, Subject
from app.rulebook.policies import Policy
from benefit_router import Code, CodeList, Rule
from benefit_router.rule import Flag, OneOf


def authorization_without_way(subject: Subject) -> Iterator[Found]:
    """Authorization is needed, and neither a form, nor documents, nor a contact, nor a handoff says how to get it."""
    for rule in subject.rows():
        outcome = rule.outcome
        if outcome.pa != "yes" or outcome.questionnaire or outcome.handoff:
            continue
        if not any(_asks(policy) for policy in subject.book.policies_about(_codes(subject, rule))):
            message = "authorization is needed, and neither it nor a policy names a form or whom to ask."
            remedy = "Name a form, or write a policy for its codes that names one."
            yield subject.at(rule, "questionnaire", message, remedy)
    for policy in subject.book.policies:
        for position, case in enumerate(policy.cases):
            for answer in case.answers:
                asked = answer.questionnaires or answer.doc_needed or answer.contacts
                if answer.pa_needed == "auth-needed" and not asked:
                    message = f"case '{case.name}' needs authorization and names neither form, documents nor contact."
                    place = subject.places.case(policy.scope.slug, position)
                    yield Found(place, "answer", message, "Add 'questionnaire', 'docs' or 'contact'.")


def _asks(policy: Policy) -> bool:
    return any(a.questionnaires or a.doc_needed or a.contacts for case in policy.cases for a in case.answers)


def _codes(subject: Subject, rule: Rule) -> frozenset[Code]:
    named = rule.codes.exact if isinstance(rule.codes, CodeList) else frozenset()
    return named.union(*(product.identities for product in subject.products(rule)))


def medicare_flag_on_any_line(subject: Subject) -> Iterator[Found]:
    """A flag that a rule of Medicare rests on, on a row that is for other lines too."""
    payer = subject.book.payer
    for rule in subject.rows():
        lines = next((c.allowed for c in rule.conditions if isinstance(c, OneOf) and c.signal == "lob"), frozenset())
        elsewhere = sorted((lines or payer.lines.keys()) - payer.medicare)
        for flag in (each.name for each in rule.conditions if isinstance(each, Flag)):
            if elsewhere and flag in payer.medicare_flags:
                message = f"'{flag}' is a flag of Medicare's, and the row is also for {', '.join(elsewhere)}."
                remedy = "Name the Medicare lines in lob; payer.yaml says which lines and flags are Medicare's."
                yield subject.at(rule, "lob", message, remedy)


def thin_provenance(subject: Subject) -> Iterator[Found]:
    """Approved rows without the section they rest on, or the day of approval."""
    for rule in subject.rows():
        stated = {"source_section": rule.provenance.source_section, "approved_at": rule.provenance.approved_at}
        for column, value in stated.items():
            if not value:
                yield subject.at(rule, column, "nobody could check it: the cell is empty.", "Fill it.")


def without_scenario(subject: Subject) -> Iterator[Found]:
    """Rows that name no scenario, or one that is not there."""
    for rule in subject.rows():
        refs = rule.provenance.test_refs
        if not refs:
            yield subject.at(rule, "test_refs", "no scenario holds it to its word.", "Write one, and name it here.")
        for ref in refs:
            if ref not in subject.scenarios:
                yield subject.at(rule, "test_refs", f"there is no scenario '{ref}'.", "Write it, or correct the name.")


def without_near_miss(subject: Subject) -> Iterator[Found]:
    """Rows with one scenario only: nothing shows where they stop."""
    for rule in subject.rows():
        if len(rule.provenance.test_refs) == 1:
            message = "it names one scenario, so nothing shows where it stops."
            yield subject.at(rule, "test_refs", message, "Add a near miss: the same order with one thing changed.")


def cases_without_scenario(subject: Subject) -> Iterator[Found]:
    """Cases that decide no scenario."""
    for policy in subject.book.policies if subject.decided is not None else ():
        slug = policy.scope.slug
        for position, case in enumerate(policy.cases):
            if f"policy:{slug}#{case.name}" not in (subject.decided or ()):
                message = f"case '{case.name}' decides no scenario."
                yield Found(
                    subject.places.case(slug, position), "case", message, "Write a scenario that gets its answer."
                )


def policies_without_near_miss(subject: Subject) -> Iterator[Found]:
    """Policies of several cases of which the scenarios reach one only."""
    for policy in subject.book.policies if subject.decided is not None else ():
        slug = policy.scope.slug
        reached = [case for case in policy.cases if f"policy:{slug}#{case.name}" in (subject.decided or ())]
        if len(policy.cases) > 1 and len(reached) == 1:
            message = f"the scenarios of '{slug}' all get case '{reached[0].name}', so nothing shows where it stops."
            yield Found(subject.places.policy(slug), "policy", message, "Add a near miss that gets another case.")


def unused_lists(subject: Subject) -> Iterator[Found]:
    """Lists that nothing names."""
    texts = "\n".join(subject.book.files.values())
    for name in sorted(subject.book.lists):
        if f"list:{name}" not in texts:
            yield Found(
                f"lists/{name}.csv:1",
                None,
                f"nothing uses the list '{name}'.",
                "Use it as 'list:" + name + "', or remove it.",
            )


def unused_forms(subject: Subject) -> Iterator[Found]:
    """Forms that no row, policy or card asks for."""
    book = subject.book
    named = {rule.outcome.questionnaire for rule in book.table.rules}
    named |= {
        form for policy in book.policies for case in policy.cases for a in case.answers for form in a.questionnaires
    }
    cards = "\n".join(text for path, text in book.files.items() if path.startswith("guidance/"))
    for slug in sorted(book.forms):
        if slug not in named and slug not in cards:
            yield Found(
                f"questionnaires/{slug}/questionnaire.json:1",
                None,
                f"nothing asks for the form '{slug}'.",
                "Name it in a row, policy or card, or remove it.",
            )
