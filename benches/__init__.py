"""Measurements whose results are kept: ``make bench`` runs ``python -m benches``. See results/README.md."""
