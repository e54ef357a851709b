"""What asks a person, and what a person picks from; one a file."""
