"""Datasets on disk: finding, reading and checking them. Uses NumPy, not TensorFlow."""
