"""Students in formats that run without mlffd; one module per format."""
