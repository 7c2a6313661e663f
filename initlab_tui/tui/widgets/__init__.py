"""The lab's own widgets."""
