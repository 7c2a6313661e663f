"""Mean-field theory: what is predicted of a network before training."""
