"""What there is to choose from: initializers and datasets."""
