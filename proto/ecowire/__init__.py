"""The wire room: frames, mutual TLS, failure codes, signed documents. Knows no Flower and no database."""
