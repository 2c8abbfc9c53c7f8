"""The HTML page and the SVG drawing."""
