package main

import "testing"

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "17B": 17, "1KiB": 1024, "1.5MiB": 3 << 19, "16GiB": 16 << 30, "2TiB": 2 << 40, "500MB": 500_000_000, "3 kB": 3000,
		"": -1, "GiB": -1, "-1": -1, "1e300": -1, "NaN": -1, "16Gi": -1, "16gib": -1,
	} {
		got, err := parseSize(text)
		if (err == nil) != (want >= 0) || err == nil && got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
}
