"""The API from far away."""
