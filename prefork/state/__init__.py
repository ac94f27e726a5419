"""What is known of a pool: tables of states, the table of workers, reports. No system calls."""
