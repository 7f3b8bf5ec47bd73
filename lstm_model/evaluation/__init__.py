"""Evaluates a classifier and compares it with others: metrics, intervals, gate rules, comparisons."""
