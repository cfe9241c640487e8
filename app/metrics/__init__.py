"""Figures of the service, computed from the ledger. Pure: calls in, figures out."""
