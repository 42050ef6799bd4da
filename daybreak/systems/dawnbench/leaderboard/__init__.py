"""DAWNBench's leaderboard with our runs on it: ranked, as a table, as a picture, as a page. Imports no torch."""
