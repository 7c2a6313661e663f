"""A dataset in the memory of the device, where compiled functions read it."""

from __future__ import annotations

import tensorflow as tf

from initlab_tui.data.arrays import Dataset


class DeviceDataset:
    """A dataset in the device's memory: pixels keep their stored type and are scaled when they are used."""

    def __init__(self, dataset: Dataset) -> None:
        self.x_train, self.y_train = tf.constant(dataset.x_train), tf.constant(dataset.y_train)
        self.x_test, self.y_test = tf.constant(dataset.x_test), tf.constant(dataset.y_test)
        self.train_images, self.test_images = len(dataset.y_train), len(dataset.y_test)
        self.pixel_scale = dataset.pixel_scale
        self.shape, self.classes = dataset.shape, dataset.classes
        self.fingerprint = dataset.fingerprint()

    def pixels(self, images: tf.Tensor) -> tf.Tensor:
        """Convert stored images to the network's input: float32, scaled."""
        return scaled(images, self.pixel_scale)


def scaled(images: tf.Tensor, scale: float) -> tf.Tensor:
    """Return stored pixels as the network gets them: float32, times `scale`."""
    return tf.cast(images, tf.float32) * scale
