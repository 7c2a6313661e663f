"""Whole screens over the lab: help, details, dialogs, the chart."""
