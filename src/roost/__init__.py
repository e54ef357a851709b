"""One server for all of a person's or a team's agents."""

__version__ = "0.1.0"
