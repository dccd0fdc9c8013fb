"""Results of concord-bench and of bench/peers as one HTML page, pictures, and tables for Markdown."""
