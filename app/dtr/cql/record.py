"""The generated part of a form's CQL: what is read of the patient's record, and the lists of codes it is read by.

Made from the `needs` of prefill.yaml and from rules/lists, which the server's own FHIRPath goes by, so that a list that
is edited is edited for both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from app.rulebook.codes import as_coding
from app.rulebook.prefill import KINDS
from app.rulebook.scope import Need
from benefit_router import Code, CodeList

ORDER = "clinical"
"""The launch context, and the parameter of a library, that is the order (SDC)."""
_BEGIN = (
    "// generated: the patient's record, from prefill.yaml and rules/lists; `signpost questionnaires build` writes it"
)
_END = "// /generated"
_PART = re.compile(rf"{re.escape(_BEGIN)}\n.*?{re.escape(_END)}\n?", re.DOTALL)
_PARAMETER = re.compile(r"^parameter\s+\"?(\w+)\"?\s+FHIR\.(\w+)", re.MULTILINE)
_USED = re.compile(r'"codes in ([a-z0-9-]+)"')
# Kinds whose codes stand where a retrieve looks for them; a MedicationRequest may name a Medication instead.
_BY_CODE = frozenset({"conditions", "observations", "procedures", "reports", "allergies"})
# The functions of MeadowlarkRecord that tell the day of a resource, for the kinds that have one of their own.
_DAY = {
    "medications": "OrderedOn",
    "observations": "MeasuredOn",
    "procedures": "DoneOn",
    "encounters": "SeenOn",
    "reports": "ReportedOn",
}


def with_record(text: str, needs: Iterable[Need], lists: Mapping[str, CodeList]) -> str:
    """A form's CQL with its generated part made anew at the end. KeyError for a list that is not there."""
    own = _PART.sub("", text).rstrip() + "\n"
    order = next((kind for name, kind in parameters(own) if name == ORDER), None)
    parts = [_retrieve(need, lists, order) for need in needs]
    by_function = {need.codes for need in needs if need.codes and not _coded(need, lists)}
    parts += [_function(name, lists[name]) for name in sorted({*_USED.findall(own), *by_function})]
    return own + "\n" + "\n".join([_BEGIN, "", *parts, _END, ""]) if parts else own


def parameters(text: str) -> list[tuple[str, str]]:
    """Name and FHIR type of each parameter a library takes: what a client's launch context of that name goes to."""
    return _PARAMETER.findall(text)


def name_of(need: Need) -> str:
    """The definition that holds what a need names."""
    return need.kind if need.codes is None else f"{need.kind} in {need.codes}"


def whole_codes(need: Need, lists: Mapping[str, CodeList]) -> list[Code] | None:
    """The codes of a need's list where it names each in full, so that a query can name them; None otherwise."""
    if need.codes is None or lists[need.codes].prefixes:
        return None
    return sorted(lists[need.codes].exact)


def _coded(need: Need, lists: Mapping[str, CodeList]) -> bool:
    return need.kind in _BY_CODE and whole_codes(need, lists) is not None


def _retrieve(need: Need, lists: Mapping[str, CodeList], order: str | None) -> str:
    kind, codes = KINDS[need.kind], whole_codes(need, lists)
    source = f"[{kind}]"
    if codes is not None and need.kind in _BY_CODE:
        source = "\n    union ".join(f"[{kind}: {_code(code)}]" for code in codes)
        source = f"({source})" if len(codes) > 1 else source
    conditions = list(_conditions(need, lists))
    if order == kind:  # what is ordered now is not what there was before
        conditions.append(f"({ORDER} is null or R.id.value != {ORDER}.id.value)")
    where = f" R\n    where {' and '.join(conditions)}" if conditions else ""
    return f'define "{name_of(need)}":\n  {source}{where}\n'


def _conditions(need: Need, lists: Mapping[str, CodeList]) -> Iterator[str]:
    if need.codes is not None and not _coded(need, lists):
        concept = "Record.DrugOf(R)" if need.kind == "medications" else "R.code"
        yield f'exists "codes in {need.codes}"({concept})'
    if need.within_days is not None and need.kind in _DAY:
        day = f"Record.{_DAY[need.kind]}(R)"
        yield f"({day} is null or {day} on or after Today() - {need.within_days} days)"


def _function(name: str, codes: CodeList) -> str:
    """The codes of a concept that are in a list, as a function."""
    tests = []
    for system in sorted(codes.systems):
        whole = sorted({form for each, code in codes.exact if each == system for form in _spellings(code)})
        starts = sorted({form for each, code in codes.prefixes if each == system for form in _spellings(code)})
        alternatives = [f"StartsWith(C.code.value, '{start}')" for start in starts]
        if whole:
            listed = ", ".join(f"'{code}'" for code in whole)
            alternatives.append(f"C.code.value in {{ {listed} }}")
        url = as_coding((system, ""))["system"]
        tests.append(f"C.system.value = '{url}' and ({' or '.join(alternatives)})")
    either = "\n      or ".join(tests)
    return (
        f'define function "codes in {name}"(concept FHIR.CodeableConcept):\n'
        f"  concept.coding C\n    where {either}\n"
        "    return System.Code { code: C.code.value, system: C.system.value }\n"
    )


def _spellings(code: str) -> set[str]:
    """As the code is written, and as billing systems write it (J44.9 and J449)."""
    return {code, code.replace(".", "")}


def _code(code: Code) -> str:
    coding = as_coding(code)
    return f"System.Code {{ code: '{coding['code']}', system: '{coding['system']}' }}"
