"""Specs, theory, layer statistics, leaderboard and claims: pure Python that imports no other room."""
