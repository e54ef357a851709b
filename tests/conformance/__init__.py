"""The CLI of zag itself, against a real server: `make conformance`."""
