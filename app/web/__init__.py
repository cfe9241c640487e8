"""Flask blueprints, thin: bytes in, bytes out."""
