"""Set-up of the library tests: properties try the same examples every time and are never failed by a slow machine."""

from hypothesis import settings

settings.register_profile("library", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("library")
