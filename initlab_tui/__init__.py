"""A terminal lab for weight initialization."""

__version__ = "0.1.0"
