"""What is compared: specs, the catalogue of initializers, the leaderboard. Pure Python."""
