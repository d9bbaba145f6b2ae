"""The regulator's check of an evidence bundle. Imports no hub and no node code; trusts nothing inside the bundle."""
