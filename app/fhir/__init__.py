"""FHIR R4 on plain dicts: references, bundles, codings, dates, outcomes, JSON, and reading the EHR.

Resources stay what `json.decode` makes of them: dicts, lists, strings, `Decimal`. Nothing here knows Flask.
"""
