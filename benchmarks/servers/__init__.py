"""The servers that are measured, each a program that prints its port."""
