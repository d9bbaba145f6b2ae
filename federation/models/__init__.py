"""Models as pure functions of arrays: the scorecard from moments, and logistic regression as its pooled peer."""
