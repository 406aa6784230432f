"""Programs that show the package at work. Run them by name: ``python -m tierstack.examples.prompt DIR QUESTION``."""
