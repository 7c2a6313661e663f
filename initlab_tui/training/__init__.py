"""Networks, initialization, the training loop and the measurement of layers; only this room imports TensorFlow."""
