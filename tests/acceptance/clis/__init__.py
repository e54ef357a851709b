"""The real agent CLIs through a whole server."""
