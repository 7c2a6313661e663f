"""Mean-field theory: predictions about a network before training."""
