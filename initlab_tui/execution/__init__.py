"""Worker processes: starting, monitoring and following them."""
