"""Which benefit pays for a drug order: a rules table in, a decision and its reasons out.

A library of its own: no web framework, no FHIR server, no clock, no files. Read a table with `read_table`, describe an
order as `OrderSignals`, and `decide`.
"""

from benefit_router.catalog import Candidates, DrugCatalog, Product
from benefit_router.codes import Code, CodeList
from benefit_router.columns import COLUMNS, ROUTING_TABLE, Column, Table
from benefit_router.decision import Considered, RouteDecision, decide, derived_signals, words_for
from benefit_router.problems import Problem
from benefit_router.reader import read_table
from benefit_router.row import Vocabulary
from benefit_router.rule import TRACKS, Outcome, Provenance, Rule, Track
from benefit_router.signals import MISSING, OrderSignals, Signal
from benefit_router.spreadsheet import rows
from benefit_router.table import RoutingTable

__all__ = [
    "COLUMNS",
    "MISSING",
    "ROUTING_TABLE",
    "TRACKS",
    "Candidates",
    "Code",
    "CodeList",
    "Column",
    "Considered",
    "DrugCatalog",
    "OrderSignals",
    "Outcome",
    "Problem",
    "Product",
    "Provenance",
    "RouteDecision",
    "RoutingTable",
    "Rule",
    "Signal",
    "Table",
    "Track",
    "Vocabulary",
    "decide",
    "derived_signals",
    "read_table",
    "rows",
    "words_for",
]
