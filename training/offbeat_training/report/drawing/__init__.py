"""Charts become pictures: by plotly for the page, by matplotlib for PNG files."""
