"""The real program in a real process, with a real database, over real HTTP, against a fake model."""
