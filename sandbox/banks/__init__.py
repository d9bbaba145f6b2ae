"""The banks scene: institutions with the same columns and different clients train one model (horizontal training)."""
