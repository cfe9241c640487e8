"""What is wrong with a form, told to the person who can mend it: file, line, and what to write instead.

The rules are those of DTR's questionnaire profiles and of the SDC profile under them, in both generations that are
served (DTR 2.0.1 and 2.2), and of FHIR itself where HL7's own invariants are commonly broken.
"""

from app.dtr.checks.form import check_form

__all__ = ["check_form"]
