"""The private way into the server for the CLIs that it runs: who may use it, and the program that does."""
