"""The CSV tables about members: the roster, and what was granted beforehand. Each column in one place."""

from __future__ import annotations

from benefit_router import Column, Table

_SYSTEM = "Short name of the code system, such as HCPCS."
_FROM = Column("from", "date", "First day it is in force.", "2026-01-01", required=True)
_TO = Column("to", "date", "First day it no longer is. Blank: open.", "2027-01-01")

ROSTER = Table(
    "roster",
    "members/roster.csv",
    "The members, one stretch of coverage a row.",
    (
        Column("member_id", "code", "Member number. Several stretches of coverage: several rows.", "M100001", required=True),
        Column("birth_date", "date", "Matched with the patient's, where both are known.", "1958-03-14", required=True, blank_ok=True),
        Column("line", "code", "Line of business of payer.yaml.", "ma", required=True, blank_ok=True),
        Column("plan", "code", "Plan of payer.yaml.", "ma-classic"),
        Column("group", "code", "Employer group, for `group_id` of the routing table.", "ACME-01"),
        Column("state", "code", "State, two letters.", "OH"),
        Column("from", "date", "First day of coverage.", "2024-01-01", required=True),
        Column("to", "date", "First day without coverage. Blank: open.", "2027-01-01"),
        Column("flags", "flags", "Flags of payer.yaml, `name=yes` or `name=no`. One that is not named is unknown.", "esrd=yes; transplant-medicare=no"),
        Column("pharmacy", "code", "PBM profile of payer.yaml. Blank: the plan's.", "sample-pbm"),
        Column("bin", "code", "Processor BIN. Blank: the PBM's. The column may be left out.", "610000", digits=6),
        Column("pcn", "code", "Processor control number. Blank: the PBM's. The column may be left out.", "MEDD"),
    ),
)  # fmt: skip
AUTHORIZATIONS = Table(
    "authorizations",
    "members/authorizations.csv",
    "Authorizations on file.",
    (
        Column("number", "code", "Number of the authorization.", "AUTH-0001", required=True),
        Column("member_id", "code", "The member, as in the roster.", "M100009", required=True),
        Column("system", "code", _SYSTEM, "CPT", required=True),
        Column("code", "code", "What is authorized.", "72148", required=True),
        _FROM,
        _TO,
    ),
)
GOLD_CARDS = Table(
    "gold_cards",
    "members/gold_cards.csv",
    "Orderers who need no authorization.",
    (
        Column("npi", "code", "NPI of the orderer.", "1999999984", required=True),
        Column("system", "code", f"{_SYSTEM} Blank when the code is `*`.", "CPT", required=True, blank_ok=True),
        Column("code", "code", "For what; `*` for everything.", "72148", required=True),
        _FROM,
        _TO,
    ),
)
NETWORKS = Table(
    "networks",
    "members/networks.csv",
    "Performers in network.",
    (
        Column("npi", "code", "NPI of the performer.", "1999999992", required=True),
        Column("plan", "code", "Plan of payer.yaml. Blank: every plan.", "gold-ppo", required=True, blank_ok=True),
        _FROM,
        _TO,
    ),
)

MEMBER_TABLES = (ROSTER, NETWORKS, GOLD_CARDS, AUTHORIZATIONS)
