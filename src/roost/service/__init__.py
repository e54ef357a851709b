"""The whole API in Python, by subject: one method for each thing that can be asked."""
