"""Training itself: the only importer of TensorFlow."""
