"""revenue_share."""
