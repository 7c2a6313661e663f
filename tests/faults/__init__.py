"""What breaks on shared machines and in long runs, tested with the real program."""
