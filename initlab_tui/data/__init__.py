"""Datasets on disk: where they lie, how they are read and checked. NumPy, no TensorFlow."""
