"""The lab on the screen."""
