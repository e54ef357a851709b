"""The `/api/v1` door: what clients of `zag serve` know."""
