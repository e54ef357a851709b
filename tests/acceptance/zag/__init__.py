"""The `/api/v1` of a real server, over real TLS, operation by operation."""
