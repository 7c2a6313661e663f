"""Workers that misbehave: each a small script that stands where the real worker's process would."""
