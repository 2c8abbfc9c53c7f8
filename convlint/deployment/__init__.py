"""The form in which a model is shipped, made of the one in which it is trained."""
