"""The chart as pure data: curves and their means, the axes, the options, and the dots that are drawn."""
