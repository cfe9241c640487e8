"""From a hook to an answer: chart, facts, decision, coverage-information, cards."""
