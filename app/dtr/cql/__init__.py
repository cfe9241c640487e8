"""The forms' CQL, for clients that fill forms at the EHR: built from `library.cql`, served from `library.json`."""
