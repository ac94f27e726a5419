"""How many workers there shall be, by the load; and the steps from the present number to that."""
