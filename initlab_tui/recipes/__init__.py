"""The published experiments, one TOML file each, and their loader."""
