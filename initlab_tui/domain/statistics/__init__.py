"""Statistics over seeds: estimates, paired differences and the leaderboard."""
