"""`python -m app.cli` is `signpost`."""

from app.cli import main

main()
