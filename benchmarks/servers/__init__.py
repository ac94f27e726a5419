"""The measured servers; each is a program that prints its port."""
