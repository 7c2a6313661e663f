"""Workers that misbehave: small scripts that run in place of the real worker process."""
