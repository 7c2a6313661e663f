"""The use cases, one way for the lab and the command line."""
