"""The client against a server that writes down what it is asked."""
