"""The flows, and `cli.py`, the `lstm-text` command. They only compose tasks."""

from tasks.runtime.garbage import search_less_often

search_less_often()
