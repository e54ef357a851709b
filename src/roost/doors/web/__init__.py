"""The web page: its files, and how a browser comes in and stays in."""
