"""The description of the recipe file format that `explain recipe` prints."""

from __future__ import annotations

SUMMARY = "a published experiment in a TOML file: its source, its comparisons, and its claims"
LAYOUT = "[source], [base] or several [[experiments]], and [[claims]], in a file that ends in .toml"
READING = (
    "Print a recipe as a template with recipe show NAME --toml, train a file with recipe run FILE.toml, and evaluate "
    "stored runs with recipe check FILE.toml. Mistakes in the file are reported with line and field."
)
# The tables and fields of a file, in the order in which they are usually written.
FIELDS = (
    (
        "top level",
        "title, claim, notes; substitute_dataset, used when the dataset cannot be downloaded; initializers, seeds "
        "(a count or a list) and, to compare several, lists of networks, hidden, activations, optimizers and "
        "learning_rates",
    ),
    ("[source]", "author, title, year, place"),
    (
        "[base]",
        "the options of a run: dataset, network, hidden, activation, initializer, optimizer, learning_rate, l2, "
        "batch_size, epochs, eval_every, execution, seed",
    ),
    (
        "[[experiments]]",
        "several comparisons instead of one at the top level, each with a name, initializers, seeds and so on, and its "
        "own [experiments.base]",
    ),
    (
        "[[claims]]",
        "statement; kind, published or measured (with a date); source; observable; epoch, by default the last; "
        "any_dataset, if the claim is also made about the substitute; and a group, a group against another (their "
        "difference, paired by seed), or an order of groups, none worse than the one before by more than tolerance",
    ),
    ("bounds", "equals with tolerance, or at_least and at_most; accuracies are fractions"),
    (
        "observable",
        "test_accuracy, test_loss; before the first step, activation_ratio (std of the activations in the last hidden "
        "layer over the first) and backprop_ratio (RMS of the gradient in the first hidden layer over the last)",
    ),
    (
        "group",
        "an initializer as text, or a table of experiment, initializer, network, hidden, activation, optimizer, "
        "learning_rate and l2, with as many of these as needed to identify it",
    ),
    (
        "[measured]",
        "the recorded results: date, data, versions, and for each claim [[measured.figures]] with observed, n, verdict",
    ),
)
