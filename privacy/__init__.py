"""Pure cryptography and identifiers. Imports nothing of ours and does no I/O."""
