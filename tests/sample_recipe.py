"""The text of a recipe file with one experiment and one claim."""

TEXT = """\
title = "Zeros against He"
claim = "Zeros do not learn."
initializers = ["zeros", "he_normal"]
seeds = 3

[source]
author = "Somebody"
title = "A book"
year = 2016
place = "page 3"

[base]
dataset = "digits"
hidden = "16x3"
epochs = 2

[[claims]]
statement = "He is ahead"
kind = "published"
source = "A book, page 3"
group = "he_normal"
against = "zeros"
at_least = 0.5
"""
