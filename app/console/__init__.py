"""What the console stands on, without the web: accounts and sessions, searching rules, drafts, pictures."""
