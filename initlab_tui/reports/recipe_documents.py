"""Recipes and their results as JSON documents."""

from __future__ import annotations

import json
from typing import Any

from initlab_tui.domain.claims.evaluation import ClaimResult
from initlab_tui.domain.claims.recipe import Recipe
from initlab_tui.domain.comparison import Comparison
from initlab_tui.reports.claims import result_row
from initlab_tui.reports.documents import comparison_document, estimate_document
from initlab_tui.services.recipes import ExperimentRuns, RecipeResult


def recipe_document(recipe: Recipe) -> dict[str, Any]:
    """Return the content of a recipe."""
    document: dict[str, Any] = json.loads(recipe.to_json())
    return document


def result_document(result: RecipeResult) -> dict[str, Any]:
    """Return the document that `recipe run` and `recipe check` print.

    It is the document of one comparison with the runs of all experiments; `comparisons` has the experiments separately,
    and `claims` the results of the claims.
    """
    first = result.experiments[0]
    return comparison_document(first.comparison_id, _comparison(first), result.runs) | {
        "recipe": result.recipe.name,
        "datasets": list(result.recipe.datasets),
        "instead_of": list(result.instead_of),
        "comparisons": [
            {"experiment": one.experiment.name} | comparison_document(one.comparison_id, _comparison(one), one.runs)
            for one in result.experiments
            if one.runs
        ],
        "missing": [experiment.name for experiment in result.missing],
        "claims": [claim_document(claim) for claim in result.claims],
    }


def _comparison(one: ExperimentRuns) -> Comparison:
    """Return the comparison of an experiment with the seeds that were run."""
    seeds = tuple(dict.fromkeys(run.seed for run in one.runs))
    return one.experiment.comparison.model_copy(update={"seeds": seeds} if seeds else {})


def claim_document(result: ClaimResult) -> dict[str, Any]:
    """Return a claim and its result; a missing bound is null, accuracies and their differences are fractions."""
    claim, row = result.claim, result_row(result)
    low, high = claim.bounds
    return {
        "claim": row.statement,
        "kind": row.kind,
        "source": row.source,
        "date": claim.date and str(claim.date),
        "expected": {
            "text": row.expected,
            "observable": claim.observable,
            "epoch": claim.epoch,
            "low": low,
            "high": high,
        },
        "observed": {
            "text": row.observed,
            "n": row.seeds,
            "estimates": [estimate_document(each) for each in result.observed],
        },
        "verdict": result.verdict,
        "reason": result.reason,
    }
