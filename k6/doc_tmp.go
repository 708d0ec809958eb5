package k6
