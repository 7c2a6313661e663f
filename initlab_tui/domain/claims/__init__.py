"""Published claims: recipes, their TOML, and the evaluation of claims."""
