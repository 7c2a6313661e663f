"""The SQLite store: the queue, the record, and the wire between processes."""
