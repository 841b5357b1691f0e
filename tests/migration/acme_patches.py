"""Stands for patches that a company keeps to its engine."""

APPLIED = ("scheduler-fairness", "log-format")
