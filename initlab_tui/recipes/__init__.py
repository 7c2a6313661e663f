"""The packaged recipes, one TOML file each, and their loader."""
