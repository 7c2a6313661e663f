"""The use cases, implemented once for the lab and the command line."""
