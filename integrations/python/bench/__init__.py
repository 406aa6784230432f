"""Speed of the store beside what Python users have today. Run it from the package's folder: ``python -m bench``."""
