"""What holds the layout together: the names of the folders, who imports whom, who is loaded."""
