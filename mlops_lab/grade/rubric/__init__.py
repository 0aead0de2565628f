"""The exercises of the course, a file for each stage. A check is a plain function with a marker."""
