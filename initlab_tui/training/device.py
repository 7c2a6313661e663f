"""The device that TensorFlow computes on, and its threads."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from initlab_tui.training import cpu


def override_keras_config() -> None:
    """Override the settings of the user's keras.json that would change the results of a spec.

    The data and the kernels are float32, and Flatten reads the pixels of an image in "channels_last" order.
    """
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")


def configure(threads: int) -> None:
    """Set the number of threads and GPU memory growth; call it once per process, before the first operation."""
    override_keras_config()
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def sees_gpu() -> bool:
    """Return whether TensorFlow can use a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def versions() -> dict[str, str]:
    """Return the versions of the libraries that the results depend on."""
    return {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}


def name() -> str:
    """Return the device that training runs on, with its model name."""
    if not sees_gpu():
        return f"CPU: {cpu.name()}"
    gpus = tf.config.list_physical_devices("GPU")
    details = tf.config.experimental.get_device_details(gpus[0])
    return f"GPU: {details.get('device_name', gpus[0].name)}"
