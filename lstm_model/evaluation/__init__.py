"""How good a classifier is, and whether it is better than another: metrics, intervals, gate rules, comparisons."""
