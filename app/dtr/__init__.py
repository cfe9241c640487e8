"""Documentation Templates and Rules: the payer's forms, and what is filled in before anybody opens them."""
