"""Generated code. Never edited; `make proto` writes it, `make proto-check` compares it."""
