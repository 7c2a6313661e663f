"""What happened, kept: the store, and the processes that fill it."""
