"""Concord beside the libraries its users would pick instead: see README.md."""
