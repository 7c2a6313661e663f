"""Recipes with published claims: their form, their TOML, and the evaluation of claims."""
