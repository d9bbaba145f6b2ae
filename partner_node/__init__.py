"""partner_node."""
