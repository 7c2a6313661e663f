"""The SQLite store: the queue, the results, and the communication between processes."""
