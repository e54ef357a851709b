"""The page, and who may see what it shows."""
