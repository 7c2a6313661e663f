"""What the keys of the lab do: launch, fill the form from a recipe, control runs, edit results."""
