"""Tables, goals and plots out of what the benchmarks' runs leave behind."""
