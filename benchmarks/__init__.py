"""Measured figures: `make bench NAME=x`. Peers with other needs have environments of their own below this folder."""
