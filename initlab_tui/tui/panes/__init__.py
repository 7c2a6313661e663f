"""The three panes: setup, training, results."""
