"""The API from far away: for the command line, and for whoever scripts it."""
