"""The catalogue: initializers and datasets, with their parameters and sources."""
