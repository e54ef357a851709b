"""Programs that outlive the server: a keeper for each, and what the server knows of it."""
