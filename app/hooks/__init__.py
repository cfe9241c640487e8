"""The CDS Hooks protocol, nothing payer-specific: requests, discovery, configuration, cards."""
